"""The try-on page as an app of several processes, between which live sessions move.

MAKEUP_SESSION_KEY=$(openssl rand -hex 32) uvicorn try_on:app --workers 2
"""

import os

from makeup_sdk.web.app import create_app

if "MAKEUP_SESSION_KEY" in os.environ:
    app = create_app(session_key=os.environ["MAKEUP_SESSION_KEY"], threads=1)
