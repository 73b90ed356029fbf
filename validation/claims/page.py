"""The report: one HTML file with every claim, figure and table inline, that needs neither network nor other files."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from .lines import RELATIONS, Claim, claim_from_json

STYLE = Path(__file__).with_name("report.css").read_text(encoding="utf-8")
HOW_TO_READ = """<p>Each line holds a measurement against what theory predicts. It passes if the two differ by no more
than the measurement's <em>own</em> error bar, which comes from refining grids, tolerances and times, and from the
scatter of fits and seeds; where a rival law exists, the measurement must also be two bars away from it. The strip shows
(measured − predicted) in error bars, from −1 to 1; bars of extrapolated limits hold half of what the extrapolation
adds, and are upper bounds. DIFFERS marks a disagreement between theory and measurement that the
README states.</p>"""


def report(results: Sequence[Mapping[str, Any]], folder: Path, title: str) -> str:
    """The page for the JSON of several scripts, whose figures lie in ``folder``."""
    body = [f"<h1>{escape(title)}</h1>", _introduction(results), _overview(results)]
    body += [_section(found, folder) for found in results]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _introduction(results: Sequence[Mapping[str, Any]]) -> str:
    sources = [found["provenance"] for found in results]
    commits = sorted({source["commit"][:12] for source in sources})
    versions = {name: value for source in sources for name, value in json.loads(source["versions"]).items()}
    mode = " and ".join(sorted({found["mode"] for found in results}))
    shown = ", ".join(f"{name} {version}" for name, version in versions.items())
    provenance = f"{mode} mode; commit {', '.join(commits)}; {shown}; {max(source['created'] for source in sources)}"
    return f'{HOW_TO_READ}<p class="soft">{escape(provenance)}</p>'


def _overview(results: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for found in results:
        claims = _claims(found)
        counts = {verdict: sum(claim.verdict == verdict for claim in claims) for verdict in ("PASS", "DIFFERS", "MISS")}
        cells = "".join(f'<td class="number"><span class="{k}">{n}</span></td>' for k, n in counts.items())
        state = "" if found["finished"] else " (not finished)"
        rows.append(
            f'<tr><td><a href="#{found["script"]}">{escape(found["script"])}</a>{state}</td>'
            f"<td>{escape(_title(found))}</td>{cells}"
            f'<td class="number">{found["processor_seconds"]:.0f} s</td></tr>'
        )
    head = "".join(
        f"<th>{word}</th>"
        for word in ("script", "claim", "pass", "differ", "miss", "processor time, kept parts not counted")
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _title(found: Mapping[str, Any]) -> str:
    return str(found["description"]).partition("\n")[0]


def _claims(found: Mapping[str, Any]) -> list[Claim]:
    return [claim_from_json(row) for row in found["claims"]]


def _section(found: Mapping[str, Any], folder: Path) -> str:
    title, _, rest = str(found["description"]).partition("\n")
    parts = [f'<h2 id="{found["script"]}">{escape(title)}</h2>', f"<pre>{escape(rest.strip())}</pre>"]
    if found["from_other_code"]:
        parts.append("<p><strong>Some parts were computed by other code than that of the commit.</strong></p>")
    claims, groups = _claims(found), found["groups"]
    starts = [start for _, start in groups]
    stops = [*starts[1:], len(claims)]
    if not groups or starts[0] > 0:
        parts.append(_table(claims[: starts[0] if groups else None]))
    for (words, start), stop in zip(groups, stops, strict=True):
        parts.append(f"<h3>{escape(words)}</h3>")
        if stop > start:
            parts.append(_table(claims[start:stop]))
    parts += [_figure(figure, folder) for figure in found["figures"]]
    parts += [_text_table(table) for table in found["tables"]]
    if found["remarks"]:
        parts.append("<ul>" + "".join(f"<li>{escape(words)}</li>" for words in found["remarks"]) + "</ul>")
    return "\n".join(parts)


def _table(claims: Sequence[Claim]) -> str:
    head = "".join(
        f"<th>{word}</th>"
        for word in ("claim", "predicted", "measured", "error bar", "", "verdict", "source", "the bar is made of")
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(map(_row, claims))}</tbody></table>"


def _row(claim: Claim) -> str:
    value, bar, origin = claim.measured
    predicted = escape(f"{RELATIONS[claim.relation]}{claim.predicted:.7g}".replace("<=", "≤").replace(">=", "≥"))
    if claim.excluded is not None:
        predicted += f'<br><span class="soft">not {claim.excluded:.6g}</span>'
    why = f'<br><span class="soft">{escape(claim.known)}</span>' if claim.known else ""
    return (
        f'<tr><td>{escape(claim.what)}{why}</td><td class="number">{predicted}</td><td class="number">{value:.7g}</td>'
        f'<td class="number">{bar:.1e}</td><td>{_pull(claim)}</td>'
        f'<td><span class="{claim.verdict}">{claim.verdict}</span></td><td>{escape(claim.source)}</td>'
        f'<td class="origin">{escape(origin)}</td></tr>'
    )


def _pull(claim: Claim) -> str:
    """(measured − predicted)/bar as a dot on a strip from −1 to 1; nothing for bounds."""
    value, bar, _ = claim.measured
    if claim.relation != "equal" or not bar > 0.0:
        return ""
    pull = (value - claim.predicted) / bar
    at = 32.0 + 24.0 * max(-1.25, min(1.25, pull))
    colour = f"var(--{claim.verdict.lower()})"
    return (
        f'<svg width="64" height="16" role="img" aria-label="{pull:.2f} error bars">'
        '<line x1="8" y1="8" x2="56" y2="8" stroke="var(--line)" stroke-width="4"/>'
        '<line x1="32" y1="3" x2="32" y2="13" stroke="var(--soft)"/>'
        f'<circle cx="{at:.1f}" cy="8" r="4" fill="{colour}"/></svg>'
    )


def _figure(figure: Mapping[str, str], folder: Path) -> str:
    data, caption = b64encode((folder / figure["file"]).read_bytes()).decode(), escape(figure["caption"])
    source = f"data:image/png;base64,{data}"
    return f'<figure><img alt="{caption}" src="{source}"><figcaption>{caption}</figcaption></figure>'


def _text_table(table: Mapping[str, Any]) -> str:
    head = "".join(f"<th>{escape(word)}</th>" for word in table["header"])
    rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table["rows"])
    caption = f"<caption>{escape(table['caption'])}</caption>"
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
