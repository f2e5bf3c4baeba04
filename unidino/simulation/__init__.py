"""Small screens whose truth is known, and an endless stream of planes of many kinds.

The stream ships because the packaged model is trained on it, by `examples/train_base.py`.
"""
