"""The file `modal_app.py`, which users deploy: in the wheel, or in the examples of a checkout."""

from __future__ import annotations

from pathlib import Path

import worker

_PACKAGE = Path(worker.__file__).parent
_INSTALLED = _PACKAGE / "modal_app"
SHIPPED_APP = (_INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent / "examples" / "modal") / "modal_app.py"
