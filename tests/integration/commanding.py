"""The command line in this process, beside a service of the tests."""

import json
from typing import Any

from click.testing import CliRunner, Result

from headgate.cli.commands import cli
from headgate.service.local import remember_address
from tests.integration.face import Face


class Commands:
    """`headgate`, as somebody at the machine of `face` calls it."""

    def __init__(self, face: Face) -> None:
        self._data = str(face.settings.data)
        remember_address(face.settings, str(face.http.base_url))

    def whole(self, *arguments: str, typed: str = "") -> Result:
        """All that comes of a command."""
        return CliRunner().invoke(cli, [*arguments, "--data", self._data], input=typed or None, env={"COLUMNS": "200"})

    def __call__(self, *arguments: str, code: int = 0, typed: str = "") -> str:
        """What it prints, on stderr when `code` is not 0, which must be how it exits."""
        done = self.whole(*arguments, typed=typed)
        assert done.exit_code == code, (done.exit_code, done.output, done.exception)
        return done.stdout if code == 0 else done.stderr

    def json(self, *arguments: str, **more: Any) -> Any:
        """The same with `--output json`, read."""
        return json.loads(self(*arguments, "--output", "json", **more))
