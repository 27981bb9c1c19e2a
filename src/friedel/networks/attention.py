"""One layer of attention among tokens, as a transformer's encoder has it; after A. Vaswani et al., arXiv:1706.03762."""

from torch import Tensor, nn


class Attention(nn.Module):
    """Let every token look at all others, then think on its own; both are added to what it was.

    Written out in plain products: for a few dozen tokens in bf16 on a CPU, the fused kernels' gradients take several
    times longer than the products themselves.

    Parameters
    ----------
    width : int
        Values per token.
    heads : int
        Independent looks; ``width`` is a multiple.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_looking, self.before_thinking = nn.LayerNorm(width), nn.LayerNorm(width)
        self.looks, self.seen = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.thought = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return tokens ``(b, n, width)`` after the layer."""
        batch, count, width = tokens.shape
        looks = self.looks(self.before_looking(tokens)).reshape(batch, count, 3, self.heads, -1)
        query, key, value = looks.permute(2, 0, 3, 1, 4)
        alike = query @ key.transpose(-1, -2) / (width // self.heads) ** 0.5
        found = alike.softmax(-1).to(value.dtype) @ value
        tokens = tokens + self.seen(found.transpose(1, 2).reshape(batch, count, width))
        return tokens + self.thought(self.before_thinking(tokens))
