#!/bin/sh
# The environment's Python, for dvc.yaml. A copy of the project below .dvc/tmp/exps (`dvc exp run --temp`) uses the project's.
exec "${PWD%%/.dvc/tmp/exps/*}/.venv/bin/python" "$@"
