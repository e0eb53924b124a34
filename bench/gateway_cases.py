"""Which gateways are measured, and how each is started: as its own documentation says for production, before the same upstream.

In all texts $port is the gateway's port, $up the upstream's, $folder a folder of the gateway's own.
"""

from __future__ import annotations

import shutil
import string
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
CHAT = "/v1/chat/completions"
KEY = "sk-bench"
"""What clients send, where no command makes them a key."""
UPSTREAM_KEY = "sk-or-v1-bench"


class Case(NamedTuple):
    """One gateway."""

    label: str
    command: tuple[str, ...] = ()
    """Empty: nothing stands between the client and the upstream."""
    before: tuple[str, ...] = ()
    """A command that makes the key which clients send, and prints it."""
    files: dict[str, str] = {}  # noqa: RUF012 - a constant
    environment: dict[str, str] = {}  # noqa: RUF012 - a constant
    headers: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    """Programs and files without which it is left out."""
    warm: float = 1.0
    """Seconds of load before anything is measured."""
    slow: bool = False
    """It cannot keep up with 5,000 chunks a second: it gets a fifth of them, and holds no more than 1,000 streams."""


_NGINX = """
daemon off; worker_processes 1; worker_rlimit_nofile 30000;
pid $folder/nginx.pid; error_log $folder/nginx.log warn;
events { worker_connections 15000; }
http {
  access_log off; tcp_nodelay on; keepalive_requests 1000000000;
  client_body_buffer_size 1m;
  client_body_temp_path $folder/b; proxy_temp_path $folder/p; fastcgi_temp_path $folder/f;
  uwsgi_temp_path $folder/u; scgi_temp_path $folder/s;
  upstream up { server 127.0.0.1:$up; keepalive 8000; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:$port backlog=4096;
    location / {
      proxy_pass http://up/api/; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Authorization "Bearer $upstream_key"; proxy_buffering off; proxy_read_timeout 600s;
    }
  }
}
"""

# Neither logs nor callbacks, one worker: the fastest of the settings that were tried.
_LITELLM = """
model_list:
  - model_name: openai/gpt-4o-mini
    litellm_params: {model: openrouter/openai/gpt-4o-mini, api_base: "http://127.0.0.1:$up/api/v1", api_key: "$upstream_key"}
litellm_settings: {set_verbose: false, request_timeout: 600, num_retries: 0, callbacks: [], json_logs: false}
general_settings: {master_key: "$key", disable_error_logs: true, disable_spend_logs: true}
"""

_OURS = {
    "BYTE_HOME": "$folder/home",
    "OPENROUTER_API_KEY": UPSTREAM_KEY,
    "OPENROUTER_BASE_URL": "http://127.0.0.1:$up/api/v1",
}
# As many streams as are held, and no line of a log for each: the others write none, either.
_SERVE = (
    "$bin/byte",
    "serve",
    "--port",
    "$port",
    "--max-requests",
    "10000",
    "--max-connections",
    "20000",
    "--log",
    "off",
)

CASES = {
    "direct": Case("no gateway"),
    "nginx": Case(
        "nginx, a plain proxy",
        ("nginx", "-p", "$folder", "-c", "$folder/nginx.conf", "-e", "$folder/nginx.log"),
        files={"nginx.conf": _NGINX},
        needs=("nginx",),
    ),
    # A virtual key with a limit and a budget of its own, neither of which is ever reached.
    "bytedeck": Case(
        "**bytedeck**, everything on",
        _SERVE,
        before=("$bin/byte", "keys", "create", "bench", "--rpm", "60000000", "--budget", "900000/day"),
        environment=_OURS,
        warm=2.0,
    ),
    "bytedeck-open": Case("**bytedeck**, no keys", _SERVE, environment=_OURS, warm=2.0),
    "portkey": Case(
        "Portkey 1.15.2",
        ("node", "$portkey/build/start-server.js", "--port=$port", "--headless"),
        environment={"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1"},
        headers=("x-portkey-provider: openrouter", "x-portkey-custom-host: http://127.0.0.1:$up/api"),
        needs=("node", "$portkey/build/start-server.js"),
        warm=8.0,
    ),
    "litellm": Case(
        "LiteLLM 1.106.2",
        (
            "$litellm",
            "--config",
            "$folder/config.yaml",
            "--host",
            "127.0.0.1",
            "--port",
            "$port",
            "--num_workers",
            "1",
        ),
        files={"config.yaml": _LITELLM},
        environment={
            # Else it asks the network for its price list first.
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            # Else no more than 500 streams are open at once, and the others wait.
            "AIOHTTP_CONNECTOR_LIMIT": "10000",
            "AIOHTTP_CONNECTOR_LIMIT_PER_HOST": "10000",
            "LITELLM_MODE": "PRODUCTION",
            "LITELLM_LOG": "ERROR",
        },
        needs=("$litellm",),
        warm=6.0,
        slow=True,
    ),
}
_PLACES = {
    "bin": str(Path(sys.executable).parent),
    "portkey": str(ROOT / ".venv-bench-gateway-portkey/node_modules/@portkey-ai/gateway"),
    "litellm": str(ROOT / ".venv-bench-gateway-litellm/bin/litellm"),
    "key": KEY,
    "upstream_key": UPSTREAM_KEY,
}


def filled(text: str, **values: object) -> str:
    """The text with what stands for its $names. An nginx of its own variables has none here."""
    return string.Template(text).substitute(_PLACES, **values)


def program(name: str) -> str | None:
    """Where it is; Debian keeps servers where a user's PATH does not look."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")


def installed(case: Case) -> bool:
    """Whether all that it needs is here."""
    return all(program(filled(need)) or Path(filled(need)).is_file() for need in case.needs)
