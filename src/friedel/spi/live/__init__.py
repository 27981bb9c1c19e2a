"""Single hits while the frames arrive."""

from friedel.stream.sources.source import register_source

register_source("file", "friedel.spi.live.file_source:open_source")
