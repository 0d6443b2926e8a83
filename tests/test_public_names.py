"""The public names are what they are called, whatever is imported first."""

import subprocess
import sys

import pytest

import tensoralg as ta


@pytest.mark.parametrize("name", sorted(ta.__all__))
def test_every_public_name_exists(name):
    assert getattr(ta, name) is not None
    assert name in dir(ta)


@pytest.mark.parametrize("first", ["tensoralg.lower", "tensoralg.claims", "tensoralg.universal", "tensoralg.plan"])
def test_a_room_never_hides_a_function(first):
    """Importing the room `plan` once put the module in the place of the function `ta.plan`."""
    code = f"import {first}, tensoralg as ta; print(*(callable(getattr(ta, n)) for n in ('plan', 'prove', 'compile')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"] * 3


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'plann'"):
        ta.plann  # noqa: B018
