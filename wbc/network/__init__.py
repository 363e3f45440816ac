"""The network: backbone, dense head, layers as Keras counts them, pretrained weights."""
