"""How a small transformer comes to infer a task from its context, step by step.

In-context meta-learning (Minegishi et al. 2025, arXiv 2505.16694): a context holds items with their labels under one of a few
tasks, and the label of a last item is asked for, which is often not in the context. Accuracy rises in phases, each with a
circuit of attention of its own. Beside it: how well the task can be decoded from hidden states (Han et al. 2025, arXiv
2412.12276).
"""
