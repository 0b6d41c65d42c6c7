"""Who may use the console, and with which keys passes are signed: `maskline user`, `maskline keys`."""

import sys
from pathlib import Path

import click

from services.cli.lazy import DATA
from services.platform.settings import SecretFiles, options_of


@click.group()
def user() -> None:
    """Who may use the console: viewer, operator, appeals, admin."""


@user.command("add")
@click.argument("name")
@click.option(
    "--role", type=click.Choice(["viewer", "operator", "appeals", "admin"]), default="viewer", show_default=True
)
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of standard input.")
@DATA
def add(name: str, role: str, password_stdin: bool, data: Path) -> None:
    """Add a user; asks for the password. It is kept as a scrypt hash in DATA/users.json."""
    from services.console.users import Role, add_user

    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    add_user(data, name, Role(role), password)
    click.echo(f"{name} may sign in to the console as {role}.")


@user.command("list")
@DATA
def list_(data: Path) -> None:
    """All users and their roles."""
    from services.console.users import list_users

    users = list_users(data)
    for name, found in users.items():
        click.echo(f"{name}  {found.role}")
    if not users:
        click.echo("There are no users yet. Add one: maskline user add NAME --role admin")


@user.command("remove")
@click.argument("name")
@DATA
def remove(name: str, data: Path) -> None:
    """Remove a user, who is signed out everywhere within a second."""
    from services.console.users import remove_user

    remove_user(data, name)
    click.echo(f"{name} may no longer sign in.")


@click.group()
def keys() -> None:
    """The keys that passes are signed with."""


@keys.command("rotate-pass")
@DATA
@options_of(SecretFiles)
def rotate_pass(data: Path, settings: SecretFiles) -> None:
    """Add a new key to sign passes with. Those that were given out stay valid."""
    from services.platform.pass_keys import LOOK_AGAIN_S, SIGN_AFTER_S
    from services.platform.secrets import SECRETS, Secrets

    before = Secrets.load(data / SECRETS, settings)
    key_id = before.rotate_pass_key().pass_signer().key_id
    click.echo(f"Pass key {key_id} is there. Counters know it within {LOOK_AGAIN_S:g} s, new passes are signed with")
    click.echo(f"it {SIGN_AFTER_S:g} s later. Those of the keys before stay valid until you delete the files of these:")
    click.echo(before.key_ids()["pass"])
