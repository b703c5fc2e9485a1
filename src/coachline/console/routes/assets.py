"""Scripts, styles and pictures of the console."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from coachline.console.assets import Assets
from coachline.foundation.errors import NotFound


class AssetRoutes:
    """``/console/static/…``: the same files for everybody."""

    def __init__(self) -> None:
        self._assets = Assets()
        self.router = APIRouter(include_in_schema=False)
        self.router.add_api_route("/console/static/{name}", self.get, methods=["GET"])

    async def get(self, name: Annotated[str, Path(max_length=64)], request: Request) -> Response:
        """A file, or word that the browser's copy is still right."""
        asset = self._assets.find(name)
        if asset is None:
            raise NotFound("There is no such file.")
        # Asked for each time: a new version of the gateway must not meet old scripts.
        headers = {"ETag": asset.etag, "Cache-Control": "no-cache"}
        if asset.is_known(request.headers.get("if-none-match", "")):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(asset.body, media_type=asset.media_type, headers=headers)
