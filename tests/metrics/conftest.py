import sys
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def sed_eval():
    """Import the reference implementation, whose dcase_util imports pkg_resources, which setuptools has dropped."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "pkg_resources", ModuleType("pkg_resources"))
        import sed_eval
    return sed_eval
