"""The columns of telemetry, and which of them are computed from other columns or from the previous row."""

from trainingjob_api.values import HEALTH_INDICATORS

_VARYING = ("Bat_V", "Char_V", "Cool_T", "Eng_RPM", "Fuel_Con", "Fuel_L", "Oil_L", "Oil_P")

RAW_COLUMNS = (
    *("Auto", "Bat_V", "Char_V", "Cool_T", "Eng_RPM", "Fuel_Con", "Fuel_L", "Man", "Oil_L", "Oil_P", "Recalque"),
    *("Starts_N", "Stop", "Succao", "running"),
)
VARIATIONS = tuple(f"{name}_variation" for name in _VARYING)
VARIATION_PERCENTAGES = tuple(f"{name}_variation_percentage" for name in _VARYING)
RATIO_COLUMNS = ("Hydraulic_Head", "Head_per_RPM", "OilP_per_RPM", "CoolT_per_RPM")
ANALOGUE_COLUMNS = ("FlexAnalogue4_1", "FlexAnalogue4_2")

TELEMETRY_COLUMNS = (
    *RAW_COLUMNS,
    "minutes_running",
    *VARIATIONS,
    *VARIATION_PERCENTAGES,
    *("Hydraulic_Head", "Head_per_RPM", "Head_trend_per_minutes", "OilP_per_RPM", "CoolT_per_RPM"),
    *("Fuel_rate", "Fuel_efficiency"),
    *ANALOGUE_COLUMNS,
)
"""The numeric columns of ``processed_data``, in its order."""

ANALOGUE_OF = {"Recalque": "FlexAnalogue4_1", "Succao": "FlexAnalogue4_2"}
"""The raw analogue input that replaces a pressure when that sensor is missing."""

GRU_FEATURES = (
    *HEALTH_INDICATORS,
    *("Eng_RPM", "Oil_T", "Fuel_T", "Cool_T", "Bat_V", "Bateria", "Intake", "Exaust"),
)
"""Default inputs of a gru, in order; a machine may have only some of them."""

RPM_DROP = "Eng_RPM_variation_percentage"


def differs_from_previous_row(name: str) -> bool:
    """Whether a column is computed from the previous row, so that it is invalid in the first row of a segment."""
    return name.endswith(("_variation", "_variation_percentage")) or name in (
        "minutes_running",
        "Head_trend_per_minutes",
        "Fuel_rate",
        "Fuel_efficiency",
    )


def is_derived(name: str) -> bool:
    """Whether a column is computed from others, so that a false reading makes it invalid too."""
    return differs_from_previous_row(name) or name in RATIO_COLUMNS
