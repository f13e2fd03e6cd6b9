"""The xgb model: a classifier that warns before a failure."""
