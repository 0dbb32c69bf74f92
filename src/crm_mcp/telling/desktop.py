"""A notification on the desktop of whoever runs the local home. Texts travel as arguments or in the environment of a
program, never through a shell or as part of a script."""

import asyncio
import base64
import sys
from collections.abc import Mapping
from html import escape

from ..config import environment_with
from ..delivery.server import Permanent, Temporary

PATIENCE = 10.0
"""Seconds until a program that shows nothing is given up."""
_MAC = """on run texts
display notification (item 2 of texts) with title (item 1 of texts)
end run"""
_WINDOWS = """
$null = [Windows.UI.Notifications.ToastNotificationManager, Windows.UI.Notifications, ContentType = WindowsRuntime]
$page = [Windows.UI.Notifications.ToastNotificationManager]::GetTemplateContent([Windows.UI.Notifications.ToastTemplateType]::ToastText02)
$texts = $page.GetElementsByTagName('text')
$null = $texts.Item(0).AppendChild($page.CreateTextNode($env:CRM_TOAST_TITLE))
$null = $texts.Item(1).AppendChild($page.CreateTextNode($env:CRM_TOAST_TEXT))
$toast = [Windows.UI.Notifications.ToastNotification]::new($page)
[Windows.UI.Notifications.ToastNotificationManager]::CreateToastNotifier('crm-mcp').Show($toast)
"""


def command(title: str, text: str, platform: str = sys.platform) -> tuple[list[str], Mapping[str, str]]:
    """Return the program that shows a notification, with its arguments, and what its environment holds besides."""
    if platform == "darwin":
        return ["osascript", "-e", _MAC, title, text], {}
    if platform == "win32":
        script = base64.b64encode(_WINDOWS.encode("utf-16-le")).decode()
        words = ["powershell", "-NoProfile", "-NonInteractive", "-WindowStyle", "Hidden", "-EncodedCommand", script]
        return words, {"CRM_TOAST_TITLE": title, "CRM_TOAST_TEXT": text}
    return ["notify-send", "--app-name=crm-mcp", "--", title, escape(text, quote=False)], {}


async def show(title: str, text: str) -> None:
    """Show a notification.

    Raises:
        Permanent, Temporary: nothing was shown.
    """
    words, more = command(title, text)
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            env=environment_with(more),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        raise Permanent(f"There is no {words[0]} here.") from None
    try:
        async with asyncio.timeout(PATIENCE):
            code = await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise Temporary(f"{words[0]} did not answer in time.") from None
    if code:
        raise Temporary(f"{words[0]} ended with {code}.")
