"""Write the dashboards for Grafana's file provisioning: `python grafana/build.py [FOLDER]`.

Built with grafana-foundation-sdk, whose output lacks panel ids, writes `id: 0` on rows and a
`placement` that older servers refuse; `finished` repairs that. The committed files are what this writes.
"""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import chain
import measurement
from parts import PARTY, VANTAGE, Board, Mapping, Panel

with warnings.catch_warnings():
    # The SDK would rather have the v2 schema, which file provisioning of Grafana 10 to 12 does not read.
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.builders import common as options
    from grafana_foundation_sdk.builders import dashboard as build
    from grafana_foundation_sdk.builders import prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

FOLDER = Path(__file__).parent / "dashboards"
BOARDS = {"chain.json": chain.BOARD, "measurement.json": measurement.BOARD}
SOURCE = common.DataSourceRef(type_val="prometheus", uid="${datasource}")
COLUMNS = 24
Builder = Any  # the SDK's panel builders share methods, not a type


def mapped(mapping: Mapping) -> list[dashboard.ValueMapping]:
    """Return value mappings; the order is that of the legend."""
    results = {
        str(number): dashboard.ValueMappingResult(text=text, color=color, index=index)
        for index, (number, text, color) in enumerate(mapping)
    }
    return [dashboard.ValueMap(options=results)]


def lines(panel: Panel) -> Builder:
    """Return a time series; a gap stays a gap."""
    made = timeseries.Panel().span_nulls(False).line_width(1).fill_opacity(8).min(0)
    made.show_points(common.VisibilityMode.AUTO)
    legend = options.VizLegendOptions().display_mode(common.LegendDisplayMode.TABLE)
    made.legend(legend.placement(common.LegendPlacement.RIGHT).calcs(["lastNotNull", "max"]))
    made.tooltip(options.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI))
    return made if panel.top is None else made.max(panel.top)


def states(_: Panel) -> Builder:
    """Return a state timeline; a gap stays a gap."""
    made = statetimeline.Panel().span_nulls(False).merge_values(True).row_height(0.8).fill_opacity(80)
    made.legend(options.VizLegendOptions().show_legend(False))
    return made.show_value(common.VisibilityMode.NEVER)


def number(panel: Panel) -> Builder:
    """Return one big number; what no mapping names is shown in the warning colour."""
    made = stat.Panel().graph_mode(common.BigValueGraphMode.NONE).color_mode(common.BigValueColorMode.BACKGROUND)
    made.reduce_options(options.ReduceDataOptions().calcs(["lastNotNull"]))
    color = "#5794f2" if not panel.mapping else "#e02f44"
    return made.thresholds(
        build.ThresholdsConfig()
        .mode(dashboard.ThresholdsMode.ABSOLUTE)
        .steps([dashboard.Threshold(value=None, color=color)])
    )


def rows(_: Panel) -> Builder:
    """Return a table of labels."""
    made = table.Panel().show_header(True)
    hidden = {"excludeByName": {"Time": True, "Value": True}, "indexByName": {}, "renameByName": {}}
    return made.transformations([dashboard.DataTransformerConfig(id_val="organize", options=hidden)])


KINDS = {"lines": lines, "states": states, "stat": number, "table": rows}


def made(panel: Panel) -> Builder:
    """Return the builder of one panel."""
    builder = KINDS[panel.kind](panel)
    builder.title(panel.title).description(panel.description).datasource(SOURCE).unit(panel.unit)
    if panel.mapping:
        builder.mappings(mapped(panel.mapping))
    if panel.none:
        builder.no_value(panel.none)
    for index, query in enumerate(panel.queries):
        target = prometheus.Dataquery().expr(query.expression).ref_id("ABCDE"[index]).datasource(SOURCE)
        if query.legend:
            target.legend_format(query.legend)
        if panel.kind == "table":
            target.instant().format(PromQueryFormat.TABLE)
        elif panel.kind == "stat":
            target.instant()
        else:
            target.range()
        builder.with_target(target)
    return builder


def variable(name: str, label: str, query: str) -> build.QueryVariable:
    """Return a variable over label values; several may be chosen, all at first."""
    chosen = dashboard.VariableOption(selected=True, text="All", value="$__all")
    return (
        build.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(query)
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(chosen)
    )


def head(board: Board) -> build.Dashboard:
    """Return a dashboard with its variables and links, without panels."""
    made = (
        build.Dashboard(board.title)
        .uid(board.uid)
        .description(f"{board.description} Written by grafana/build.py.")
        .tags(["demarc"])
        .readonly()
        .refresh("10s")
        .time("now-3h", "now")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .timezone("browser")
        .with_variable(build.DatasourceVariable("datasource").label("Data source").type("prometheus"))
    )
    for name, label, query in board.variables:
        made.with_variable(variable(name, label, query))
    return made.link(
        build.DashboardLink("demarc")
        .type(dashboard.DashboardLinkType.DASHBOARDS)
        .tags(["demarc"])
        .as_dropdown(True)
        .include_vars(True)
        .keep_time(True)
    )


def incidents() -> build.AnnotationQuery:
    """Return the annotation that marks open incidents."""
    return (
        build.AnnotationQuery()
        .name("Incidents")
        .datasource(SOURCE)
        .enable(True)
        .icon_color("#e02f44")
        .expr(f"max by (incident, kind, party, side) (demarc_incident_open{{{PARTY}}})")
        .step("10s")
        .title_format("{{kind}} {{party}}")
        .text_format("incident {{incident}}, side {{side}}")
        .tag_keys("kind,party,side")
    )


def changes() -> build.AnnotationQuery:
    """Return the annotation that marks changes of configurations, at their own time.

    Grafana takes the value as the time, in milliseconds, once for each value; what changed is on the agent's page.
    """
    return (
        build.AnnotationQuery()
        .name("Changes")
        .datasource(SOURCE)
        .enable(True)
        .icon_color("#5794f2")
        .expr(f"max by (vantage, probe) (demarc_drift_last_change_timestamp_seconds {VANTAGE}) * 1000")
        .use_value_for_time(True)
        .step("10s")
        .title_format("{{probe}} changed")
        .text_format("seen from {{vantage}}; what changed: /api/v1/changes of that agent")
        .tag_keys("vantage,probe")
    )


def laid_out(board: Board) -> build.Dashboard:
    """Return a dashboard, panels laid out left to right in their rows."""
    filled = head(board).annotation(incidents()).annotation(changes())
    down = 0
    for title, panels in board.rows:
        filled.with_row(build.Row(title).grid_pos(dashboard.GridPos(h=1, w=COLUMNS, x=0, y=down)))
        down += 1
        across = tallest = 0
        for panel in panels:
            if across + panel.width > COLUMNS:
                across, down, tallest = 0, down + tallest, 0
            place = dashboard.GridPos(h=panel.height, w=panel.width, x=across, y=down)
            filled.with_panel(made(panel).grid_pos(place))
            across, tallest = across + panel.width, max(tallest, panel.height)
        down += tallest
    return filled


def finished(board: dict[str, Any]) -> dict[str, Any]:
    """Return the dashboard with what the SDK leaves out: ids of panels and rows, no `placement`."""
    for index, panel in enumerate(board["panels"], start=1):
        panel["id"] = index
    for part in [*board.get("links", []), *board.get("annotations", {}).get("list", [])]:
        part.pop("placement", None)
    return board


def written(board: Board) -> str:
    """Return a file's text."""
    made = json.loads(JSONEncoder().encode(laid_out(board).build()))
    return json.dumps(finished(made), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    for name, board in BOARDS.items():
        (folder / name).write_text(written(board), encoding="utf-8")
