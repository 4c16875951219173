"""A button that fetches the images of networks that were trained on a published set, if it is not on this machine."""

import asyncio
from html import escape

import ipywidgets

from mixviz.data.sources import SOURCES, get
from mixviz.errors import UserError
from mixviz.widgets import networks
from mixviz.widgets.networks import Network


class FetchButton(ipywidgets.HBox):
    """Fetches a set in the background, so that the notebook stays responsive; widgets made afterwards show it."""

    def __init__(self, source: str):
        self.source = source
        self.button = ipywidgets.Button(description=f"get {source}", tooltip=f"{source}: {SOURCES[source].about}")
        self.button.add_class("mixviz-get")
        self.button.on_click(lambda _: self.start())
        self.status = ipywidgets.HTML()
        self._task: asyncio.Task | None = None
        super().__init__([self.button, self.status], layout={"flex_flow": "row wrap", "max_width": "100%"})

    def start(self) -> None:
        """What a click does: in the kernel's event loop if there is one, else at once."""
        self.button.disabled = True
        self._say(f"fetching {self.source}: {SOURCES[self.source].about}")
        work = self._fetch()
        try:
            self._task = asyncio.get_running_loop().create_task(work)
        except RuntimeError:
            asyncio.run(work)

    async def _fetch(self) -> None:
        try:
            await asyncio.to_thread(get, self.source)
        except UserError as error:
            self.button.disabled = False
            self._say(str(error))
            return
        networks.network.cache_clear()
        networks.images.cache_clear()
        self._say(f"{self.source} is here: run this cell again to see the network's own images")

    def _say(self, text: str) -> None:
        self.status.value = f"<span aria-live='polite'>{escape(text)}</span>"


def fetch_buttons(*found: Network) -> list[FetchButton]:
    """One for each published set that has the images that glyphs replace."""
    return [FetchButton(source) for source in dict.fromkeys(network.published for network in found) if source]
