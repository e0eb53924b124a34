"""Makes data/requests.json, the shapes of request bodies, from the vendored OpenAPI description.

Holds the POST bodies that the simulator serves and exactly the components that they reach, without prose.
`--check` writes nothing and fails if the file is stale. Run by scripts/openapi.
"""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "vendor/openrouter/openapi.trim.yaml"
TARGET = ROOT / "src/bytedeck/simulator/data/requests.json"
PATHS = ("chat/completions", "responses", "messages", "embeddings", "rerank", "auth/keys")
PROSE = {"description", "example", "examples", "title", "discriminator", "default", "deprecated", "format"}
COMPONENT = "#/components/schemas/"


def bare(node: Any, reached: set[str], names: bool = False) -> Any:
    """The node without prose, its references turned to `$defs`. `names`: its keys are names of properties."""
    if isinstance(node, list):
        return [bare(item, reached) for item in node]
    if not isinstance(node, dict):
        return node
    if str(node.get("$ref", "")).startswith(COMPONENT):
        name = node["$ref"].removeprefix(COMPONENT)
        reached.add(name)
        return {"$ref": f"#/$defs/{name}"}
    kept = {key: value for key, value in node.items() if names or not (key in PROSE or key.startswith("x-"))}
    return {key: bare(value, reached, key == "properties" and not names) for key, value in kept.items()}


def main() -> int:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document = yaml.load(SOURCE.read_text(encoding="utf-8"), Loader=loader)
    reached: set[str] = set()
    posts = {path: document["paths"][f"/{path}"]["post"]["requestBody"]["content"] for path in PATHS}
    bodies = {path: bare(post["application/json"]["schema"], reached) for path, post in posts.items()}
    components: dict[str, Any] = {}
    while missing := sorted(reached - components.keys()):
        components |= {name: bare(document["components"]["schemas"][name], reached) for name in missing}
    whole = {"bodies": bodies, "$defs": dict(sorted(components.items()))}
    made = json.dumps(whole, separators=(",", ":")) + "\n"
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(made, encoding="utf-8")
    elif not TARGET.exists() or TARGET.read_text(encoding="utf-8") != made:
        print(f"{TARGET.relative_to(ROOT)} is stale: run scripts/openapi", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
