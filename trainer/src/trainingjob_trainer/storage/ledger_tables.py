"""The tables of the ledger of fleets, which only workers of fleets read and write."""

LEDGER_TABLES = """
CREATE TABLE IF NOT EXISTS fleet_runs (
    fleet_uid text NOT NULL,
    run integer NOT NULL,
    notes jsonb NOT NULL DEFAULT '[]',
    retried_attempt integer NOT NULL DEFAULT 0,
    frozen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (fleet_uid, run)
);
CREATE TABLE IF NOT EXISTS fleet_machines (
    fleet_uid text NOT NULL,
    run integer NOT NULL,
    machine text NOT NULL,
    state text NOT NULL
        CHECK (state IN ('waiting', 'running', 'registered', 'reused', 'fresh', 'rejected', 'failed')),
    attempt integer NOT NULL DEFAULT 0,
    worker text,
    lease timestamptz,
    reason text,
    message text NOT NULL DEFAULT '',
    summary text NOT NULL DEFAULT '',
    bucket_address text,
    started_at timestamptz,
    finished_at timestamptz,
    PRIMARY KEY (fleet_uid, run, machine)
);
CREATE TABLE IF NOT EXISTS fleet_tasks (
    fleet_uid text NOT NULL,
    run integer NOT NULL,
    task text NOT NULL,
    worker text NOT NULL,
    lease timestamptz,
    attempt integer NOT NULL,
    result jsonb,
    PRIMARY KEY (fleet_uid, run, task)
);
"""
