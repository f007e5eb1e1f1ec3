"""General-purpose in-context learning (Kirsch et al. 2022, arXiv 2212.04458), on the domains of the collection.

A task is a domain, some of its classes, a random projection of inputs and a permutation of labels. A sequence model reads
(x_1, y_1), (x_2, y_2), ... of one task and predicts each label before it is shown. With few distinct tasks it memorises, with
more it recognises tasks that it has seen, and with enough of them it learns to learn, and so reads domains that it never saw.
"""
