"""Where a teacher is and how it is got to: URLs, headers, and the proxy that the environment names."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from instructlab_like.errors import InputError, RecipeError
from instructlab_like.recipe import TeacherRecipe
from instructlab_like.teachers.keys import Key

URL_FIX = "teacher.url is the endpoint up to and including /v1, such as http://localhost:8000/v1"


class Address(NamedTuple):
    posted: str  # the URL of /chat/completions
    where: str  # how it is shown


def addresses(recipe: TeacherRecipe) -> tuple[Address, ...]:
    """The URLs that are posted to, and how they are shown; raises RecipeError for one that cannot be right."""
    told = (recipe.url,) if isinstance(recipe.url, str) else recipe.url or ()
    if not any(told):
        raise RecipeError("an http teacher needs a URL", where="teacher.url", fix=URL_FIX)
    found = tuple(address(url) for url in told)
    if len(set(found)) < len(found):
        raise RecipeError("names an endpoint twice", where="teacher.url", fix="name each endpoint once")
    return found


def address(url: str) -> Address:
    if "@" in url.partition("://")[2].partition("/")[0]:
        raise RecipeError("holds a user name or password", where="teacher.url", fix="use teacher.key_env for secrets")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise RecipeError(f"{url!r} is no URL: {error}", where="teacher.url", fix=URL_FIX) from error
    if not usable:
        raise RecipeError(f"{url!r} is no http or https URL", where="teacher.url", fix=URL_FIX)
    path = parts.path.rstrip("/").removesuffix("/chat/completions")
    posted = parts._replace(path=f"{path}/chat/completions", fragment="")
    return Address(posted.geturl(), posted._replace(query="").geturl())


def headers(key: Key | None) -> dict[str, str]:
    """Given with each request: what a session has by default would go to a proxy too."""
    told = {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": "instructlab-like",
    }
    return told | {"Authorization": key.header} if key is not None else told


def proxy_of(url: URL) -> tuple[URL | None, str | None]:
    """The proxy that the environment names for a URL, and what opens it: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY.

    Read here once and not by aiohttp, which would read them, and .netrc, in a thread before every request.
    """
    told = getproxies()
    named = told.get(url.scheme) or told.get("all")
    if not named or proxy_bypass(f"{url.host}:{url.port}"):
        return None, None
    variable = f"{url.scheme.upper()}_PROXY"
    parts = urlsplit(named if "://" in named else f"http://{named}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        fix = "give an http proxy, http://host:port, or add the teacher's host to NO_PROXY"
        raise InputError("names no http proxy", where=variable, fix=fix)
    opened = None
    if parts.username is not None:
        opened = aiohttp.encode_basic_auth(unquote(parts.username), unquote(parts.password or ""))
    return URL(parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()), opened
