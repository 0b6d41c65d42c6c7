"""Published rules of real schemes as campaign files, and what the demo makes of them."""

from pathlib import Path

SUIKANG_V1 = Path(__file__).with_name("suikang-v1.yaml")
