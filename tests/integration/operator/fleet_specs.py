"""Specs of TrainingFleets that API server and trainer accept, and those that they refuse with words of the message."""

GRU = "machines: {names: [M]}\ntemplate: {model: {type: gru}}\n"

VALID_FLEETS = {
    "nothing but what is needed": GRU,
    "a whole fleet": """
        machines: {matching: "MOTOBOMBA-*", exclude: ["*-TEST", "MOTOBOMBA-00?"], minPercentOfLastRun: 80}
        template:
          model: {type: gru, gru: {base: Own, epochs: 10}, seed: 7}
          data: {lookbackDays: 90, limits: {Oil_P: {min: 0, max: 1500}}}
          artifacts: {bucket: models-eu, secretName: store}
          gates: [{metric: skill, min: 0.0}, {metric: improvement, min: -0.1}]
          reuse: Never
        schedule: {cron: "30 2 * * 1", timeZone: America/Sao_Paulo, startingDeadlineSeconds: 3600}
        workers: 4
        retriesPerMachine: 2
        maxFailedPercent: 10
        retrain: {newRows: 10000, olderThanDays: 30, errorRatio: 1.5}
        accelerator: {policy: Preferred, fallbackAfterSeconds: 60}
        resources: {requests: {cpu: 2}, limits: {memory: 4Gi}}
        scheduling: {queueName: training}
        runPolicy: {suspend: true, backoffLimit: 6}
        """,
    "every machine": 'machines: {matching: "*"}\ntemplate: {model: {type: xgb}}\n',
    "2000 machines": GRU.replace("[M]", str([f"PUMP-{number:056}" for number in range(2000)])),
    "an empty list of names beside a pattern": 'machines: {names: [], matching: "*"}\ntemplate: {model: {type: gru}}',
    "fields that are written but empty": f"{GRU}schedule:\nretrain:\n",
    **{
        f"the schedule {cron}": f'{GRU}schedule: {{cron: "{cron}"}}\n'
        for cron in (
            "*/15 0-6,22 1-31/2 JAN,3 mon-fri",
            "0 4 L * *",
            "0 4 LW */3 *",
            "59 23 31 12 7",
            "0 4 * * MON#1,5L",
        )
    },
    "a time zone with a sign": f'{GRU}schedule: {{cron: "0 0 * * *", timeZone: Etc/GMT+3}}\n',
}


def _with_schedule(cron: str, zone: str = "Etc/UTC") -> str:
    return f'{GRU}schedule: {{cron: "{cron}", timeZone: "{zone}"}}\n'


INVALID_FLEETS = {
    "no machines": ("template: {model: {type: gru}}", ["spec.machines", "Required"]),
    "no template": ("machines: {names: [M]}", ["spec.template", "Required"]),
    "machines of no kind": (
        "machines: {}\ntemplate: {model: {type: gru}}",
        ["spec.machines must have exactly one of names and matching"],
    ),
    "an empty list of names": (
        "machines: {names: []}\ntemplate: {model: {type: gru}}",
        ["spec.machines must have exactly one of names and matching"],
    ),
    "names beside a pattern": (
        'machines: {names: [M], matching: "*"}\ntemplate: {model: {type: gru}}',
        ["spec.machines must have exactly one of names and matching"],
    ),
    "2001 machines": (
        f"machines: {{names: {[f'M{n}' for n in range(2001)]}}}\ntemplate: {{model: {{type: gru}}}}",
        ["spec.machines.names", "2000"],
    ),
    "a machine twice": ("machines: {names: [M, M]}\ntemplate: {model: {type: gru}}", ["spec.machines.names[1]", "Dup"]),
    "a machine that hides weights": (
        "machines: {names: [my_weights_1]}\ntemplate: {model: {type: gru}}",
        ["spec.machines.names[0]", 'must contain neither "weights" nor ".h5"'],
    ),
    "a machine with a blank": (
        "machines: {names: [PUMP 7]}\ntemplate: {model: {type: gru}}",
        ["spec.machines.names[0]", "should match"],
    ),
    "a pattern with a blank": (
        'machines: {matching: "PUMP *"}\ntemplate: {model: {type: gru}}',
        ["spec.machines.matching", "should match"],
    ),
    "an exclusion twice": (
        'machines: {matching: "*", exclude: [a, a]}\ntemplate: {model: {type: gru}}',
        ["spec.machines.exclude[1]", "Dup"],
    ),
    "a share of more than all": (
        "machines: {names: [M], minPercentOfLastRun: 101}\ntemplate: {model: {type: gru}}",
        ["spec.machines.minPercentOfLastRun", "100"],
    ),
    "a machine in the template": (
        "machines: {names: [M]}\ntemplate: {machine: M, model: {type: gru}}",
        ['unknown field "spec.template.machine"'],
    ),
    "an unknown base": (
        "machines: {names: [M]}\ntemplate: {model: {type: gru, gru: {base: Other}}}",
        ["spec.template.model.gru.base", '"Fleet", "Own"'],
    ),
    "a schedule without a time": (f"{GRU}schedule: {{timeZone: Etc/UTC}}", ["spec.schedule.cron", "Required"]),
    "a schedule in words": (_with_schedule("every monday night!"), ["spec.schedule.cron", "should match"]),
    "a schedule of four fields": (_with_schedule("30 2 * 1"), ["spec.schedule.cron must have five fields"]),
    "a schedule with seconds": (_with_schedule("0 30 2 * * 1"), ["spec.schedule.cron must have five fields"]),
    "a schedule with two blanks": (_with_schedule("30  2 * * 1"), ["spec.schedule.cron"]),
    "a sixtieth minute": (_with_schedule("60 2 * * 1"), ["spec.schedule.cron must have the minute", "0 to 59"]),
    "a range to a sixtieth minute": (_with_schedule("0-60 2 * * 1"), ["spec.schedule.cron must have the minute"]),
    "a twenty-fourth hour": (_with_schedule("30 24 * * 1"), ["spec.schedule.cron must have the hour", "0 to 23"]),
    "a day 0": (_with_schedule("30 2 0 * 1"), ["spec.schedule.cron must have the day of month", "1 to 31"]),
    "a month 13": (_with_schedule("30 2 * 13 1"), ["spec.schedule.cron must have the month", "1 to 12"]),
    "an unknown month": (_with_schedule("30 2 * MAI 1"), ["spec.schedule.cron must have the month", "JAN"]),
    "an eighth day of the week": (_with_schedule("30 2 * * 8"), ["spec.schedule.cron must have the day of week"]),
    "a sixth Monday": (_with_schedule("30 2 * * MON#6"), ["spec.schedule.cron must have the day of week"]),
    "a list with a gap": (_with_schedule("0,,30 2 * * 1"), ["spec.schedule.cron"]),
    "a step of nothing": (_with_schedule("*/0 2 * * 1"), ["spec.schedule.cron", "should match"]),
    "a time zone with a blank": (_with_schedule("0 0 * * *", "Sao Paulo"), ["spec.schedule.timeZone", "should match"]),
    "a time zone of a folder above": (
        _with_schedule("0 0 * * *", "../UTC"),
        ["spec.schedule.timeZone", "should match"],
    ),
    "no workers": (f"{GRU}workers: 0", ["spec.workers", "greater than"]),
    "a share of failures of more than all": (f"{GRU}maxFailedPercent: 101", ["spec.maxFailedPercent", "100"]),
    "no condition": (f"{GRU}retrain: {{}}", ["spec.retrain must have newRows, olderThanDays or errorRatio"]),
    "an error ratio of 1": (f"{GRU}retrain: {{errorRatio: 1}}", ["spec.retrain.errorRatio", "greater than 1"]),
    "an error ratio for xgb": (
        f"{GRU.replace('gru', 'xgb')}retrain: {{errorRatio: 2}}",
        ["spec.retrain.errorRatio must not be set when spec.template.model.type is not gru"],
    ),
}

# What the trainer refuses and the schema cannot see: the operator refuses it with InvalidConfiguration.
INVALID_ONLY_FOR_PROGRAMS = {
    "a time zone that does not exist": (_with_schedule("0 0 * * *", "America/Saopaulo"), "IANA time zone"),
    "a range in the wrong order": (_with_schedule("30-10 0 * * *"), "is not a cron expression"),
    "a day that no month has": (_with_schedule("0 0 31 2 *"), "is not a cron expression"),
}
