"""Specs that API server and trainer refuse, with words of the message: the field and its rule."""

INVALID = {
    "no machine": ("model: {type: gru}", ["spec.machine", "Required"]),
    "no model": ("machine: M", ["spec.model", "Required"]),
    "no type": ("machine: M\nmodel: {seed: 1}", ["spec.model.type", "Required"]),
    "an unknown type": ("machine: M\nmodel: {type: lstm}", ["spec.model.type", '"gru", "xgb"']),
    "a machine with a blank": ("machine: PUMP 7\nmodel: {type: gru}", ["spec.machine", "should match"]),
    "a machine of 64 characters": (f"machine: {'M' * 64}\nmodel: {{type: gru}}", ["spec.machine", "63"]),
    "a machine that hides weights": (
        "machine: my_weights_1\nmodel: {type: gru}",
        ['spec.machine must contain neither "weights" nor ".h5"'],
    ),
    "a machine that hides .h5": (
        "machine: pump.h5x\nmodel: {type: gru}",
        ['spec.machine must contain neither "weights" nor ".h5"'],
    ),
    "xgb beside gru": (
        "machine: M\nmodel: {type: gru, xgb: {folds: 3}}",
        ["spec.model.xgb must not be set when spec.model.type is gru"],
    ),
    "gru beside xgb": (
        "machine: M\nmodel: {type: xgb, gru: {epochs: 3}}",
        ["spec.model.gru must not be set when spec.model.type is xgb"],
    ),
    "an unknown field": ("machine: M\nmodel: {type: gru}\nimage: evil", ['unknown field "spec.image"']),
    "a text for a number": (
        'machine: M\nmodel: {type: gru, gru: {epochs: "100"}}',
        ["spec.model.gru.epochs", "integer"],
    ),
    "no epochs": ("machine: M\nmodel: {type: gru, gru: {epochs: 0}}", ["spec.model.gru.epochs", "greater than"]),
    "three layers": ("machine: M\nmodel: {type: gru, gru: {units: [8, 8, 8]}}", ["spec.model.gru.units", "2 items"]),
    "a dropout of everything": (
        "machine: M\nmodel: {type: gru, gru: {dropout: 1}}",
        ["spec.model.gru.dropout", "less than 1"],
    ),
    "the target as a feature": (
        "machine: M\nmodel: {type: gru, gru: {output: Direct, features: [health_score]}}",
        ["spec.model.gru.features must name sensors"],
    ),
    "a feature twice": (
        "machine: M\nmodel: {type: gru, gru: {output: Direct, features: [Oil_P, Oil_P]}}",
        ["spec.model.gru.features must not repeat a value"],
    ),
    "features without the indicators that Residual adds to": (
        "machine: M\nmodel: {type: gru, gru: {features: [Oil_P, Eng_RPM]}}",
        ["spec.model.gru.features must hold Oil_P, Oil_L, Recalque and Succao"],
    ),
    "a health range of no indicator": (
        "machine: M\nmodel: {type: gru, gru: {healthRanges: {Eng_RPM: {min: 0, max: 1}}}}",
        ["spec.model.gru.healthRanges must name Oil_P, Oil_L, Recalque or Succao"],
    ),
    "an empty health range": (
        "machine: M\nmodel: {type: gru, gru: {healthRanges: {Oil_P: {min: 5, max: 5}}}}",
        ["spec.model.gru.healthRanges[Oil_P]", "min must be below max"],
    ),
    "an RPM rise as a drop": (
        "machine: M\nmodel: {type: xgb, xgb: {rpmDropPercent: 70}}",
        ["spec.model.xgb.rpmDropPercent", "-1"],
    ),
    "one fold": ("machine: M\nmodel: {type: xgb, xgb: {folds: 1}}", ["spec.model.xgb.folds", "2"]),
    "nothing to search": (
        "machine: M\nmodel: {type: xgb, xgb: {search: {maxDepth: []}}}",
        ["spec.model.xgb.search.maxDepth", "at least 1"],
    ),
    "a depth twice": (
        "machine: M\nmodel: {type: xgb, xgb: {search: {maxDepth: [4, 4]}}}",
        ["spec.model.xgb.search.maxDepth must not repeat a value"],
    ),
    "a number of trees twice": (
        "machine: M\nmodel: {type: xgb, xgb: {search: {nEstimators: [100, 100]}}}",
        ["spec.model.xgb.search.nEstimators must not repeat a value"],
    ),
    "a rate twice": (
        "machine: M\nmodel: {type: xgb, xgb: {search: {learningRate: [0.1, 0.10]}}}",
        ["spec.model.xgb.search.learningRate must not repeat a value"],
    ),
    "a share twice": (
        "machine: M\nmodel: {type: xgb, xgb: {search: {subsample: [1, 1.0]}}}",
        ["spec.model.xgb.search.subsample must not repeat a value"],
    ),
    "an endless search": (
        f"machine: M\nmodel: {{type: xgb, xgb: {{search: {{nEstimators: {list(range(1, 17))},"
        f" maxDepth: {list(range(1, 17))}}}}}}}",
        ["spec.model.xgb.search must have at most 512 settings"],
    ),
    "an unknown scoring": (
        "machine: M\nmodel: {type: xgb, xgb: {search: {scoring: f1}}}",
        ["spec.model.xgb.search.scoring", "recall"],
    ),
    "a date in words": (
        "machine: M\nmodel: {type: gru}\ndata: {startDate: 1 May 2025}",
        ["spec.data.startDate", "should match"],
    ),
    "a date that does not exist": (
        'machine: M\nmodel: {type: gru}\ndata: {startDate: "2025-02-30"}',
        ["spec.data.startDate must be a date that exists"],
    ),
    "a thirteenth month": (
        'machine: M\nmodel: {type: gru}\ndata: {endDate: "2025-13-02T00:00:00Z"}',
        ["spec.data.endDate must be a date that exists"],
    ),
    "an end before the start": (
        'machine: M\nmodel: {type: gru}\ndata: {startDate: "2025-03-02", endDate: "2025-03-01"}',
        ["spec.data.startDate must be before spec.data.endDate"],
    ),
    "an empty window": (
        'machine: M\nmodel: {type: gru}\ndata: {startDate: "2025-03-02", endDate: "2025-03-02T00:00:00Z"}',
        ["spec.data.startDate must be before spec.data.endDate"],
    ),
    "dates and a lookback": (
        'machine: M\nmodel: {type: gru}\ndata: {startDate: "2025-03-02", lookbackDays: 3}',
        ["spec.data.lookbackDays must not be set beside startDate or endDate"],
    ),
    "a lookback of nothing": (
        "machine: M\nmodel: {type: gru}\ndata: {lookbackDays: 0}",
        ["spec.data.lookbackDays", "greater than"],
    ),
    "SQL as a table": (
        'machine: M\nmodel: {type: gru}\ndata: {table: "rows; drop table models"}',
        ["spec.data.table", "should match"],
    ),
    "a rename of the timestamp": (
        "machine: M\nmodel: {type: gru}\ndata: {columns: {timestamp: time}}",
        ["spec.data.columns must name columns", "none of id, timestamp and motor_pump"],
    ),
    "a quoted column": (
        "machine: M\nmodel: {type: gru}\ndata: {columns: {Recalque: 'a\"b'}}",
        ["spec.data.columns.Recalque", "should match"],
    ),
    "limits without an end": (
        "machine: M\nmodel: {type: gru}\ndata: {limits: {Oil_P: {}}}",
        ["spec.data.limits[Oil_P]", "min or max must be set"],
    ),
    "limits the wrong way round": (
        "machine: M\nmodel: {type: gru}\ndata: {limits: {Oil_P: {min: 2, max: 1}}}",
        ["spec.data.limits[Oil_P]", "min must be below max"],
    ),
    "limits of the timestamp": (
        "machine: M\nmodel: {type: gru}\ndata: {limits: {timestamp: {min: 0}}}",
        ["spec.data.limits must name columns", "none of id, timestamp and motor_pump"],
    ),
    "nothing left to train on": (
        "machine: M\nmodel: {type: gru}\ndata: {testFraction: 1}",
        ["spec.data.testFraction", "less than 1"],
    ),
    "a bucket in capitals": (
        "machine: M\nmodel: {type: gru}\nartifacts: {bucket: Models}",
        ["spec.artifacts.bucket", "should match"],
    ),
    "a gate of another model type": (
        "machine: M\nmodel: {type: xgb}\ngates: [{metric: skill, min: 0}]",
        ["spec.gates", "must name metrics of an xgb model: auc_score"],
    ),
    "a gate on an unknown metric": (
        "machine: M\nmodel: {type: gru}\ngates: [{metric: beauty, min: 0}]",
        ["spec.gates", "must name metrics of a gru model: mae"],
    ),
    "a gate that says nothing": (
        "machine: M\nmodel: {type: gru}\ngates: [{metric: skill}]",
        ["spec.gates[0]", "min or max must be set"],
    ),
    "a gate that nothing passes": (
        "machine: M\nmodel: {type: gru}\ngates: [{metric: skill, min: 1, max: 0}]",
        ["spec.gates[0]", "min must not be above max"],
    ),
    "two gates on one metric": (
        "machine: M\nmodel: {type: gru}\ngates: [{metric: r2, min: 0}, {metric: r2, max: 1}]",
        ["spec.gates must name each metric once"],
    ),
    "an unknown policy": (
        "machine: M\nmodel: {type: gru}\naccelerator: {policy: Maybe}",
        ["spec.accelerator.policy", "Preferred"],
    ),
    "an accelerator without a domain": (
        "machine: M\nmodel: {type: gru}\naccelerator: {resourceName: gpu}",
        ["spec.accelerator.resourceName", "should match"],
    ),
    "a node selector that is no label": (
        "machine: M\nmodel: {type: gru}\nscheduling: {nodeSelector: {'a b': c}}",
        ["spec.scheduling.nodeSelector must have label names as keys"],
    ),
    "a node selector of the accelerator that is no label": (
        "machine: M\nmodel: {type: gru}\naccelerator: {nodeSelector: {'/': c}}",
        ["spec.accelerator.nodeSelector must have label names as keys"],
    ),
    "a toleration of nothing": (
        "machine: M\nmodel: {type: gru}\nscheduling: {tolerations: [{effect: NoSchedule}]}",
        ["spec.scheduling.tolerations[0]", "must have a key unless its operator is Exists"],
    ),
    "a toleration with a value for Exists": (
        "machine: M\nmodel: {type: gru}\naccelerator: {tolerations: [{key: a, operator: Exists, value: b}]}",
        ["spec.accelerator.tolerations[0]", "must not have a value when its operator is Exists"],
    ),
    "a toleration for a time of what only keeps away": (
        "machine: M\nmodel: {type: gru}\n"
        "scheduling: {tolerations: [{key: a, effect: NoSchedule, tolerationSeconds: 1}]}",
        ["spec.scheduling.tolerations[0]", "must have the effect NoExecute"],
    ),
    "a GPU among the resources": (
        "machine: M\nmodel: {type: gru}\nresources: {limits: {nvidia.com/gpu: 1}}",
        ['unknown field "spec.resources.limits.nvidia.com/gpu"'],
    ),
    "an amount that is none": (
        "machine: M\nmodel: {type: gru}\nresources: {limits: {memory: lots}}",
        ["spec.resources.limits.memory", "should match"],
    ),
    "a request above the limit": (
        "machine: M\nmodel: {type: gru}\nresources: {requests: {memory: 5Gi}, limits: {memory: 4G}}",
        ["spec.resources.requests.memory must not be above spec.resources.limits.memory"],
    ),
    "more CPUs than the limit": (
        "machine: M\nmodel: {type: gru}\nresources: {requests: {cpu: 2}, limits: {cpu: 1500m}}",
        ["spec.resources.requests.cpu must not be above spec.resources.limits.cpu"],
    ),
    "more disk than the limit": (
        "machine: M\nmodel: {type: gru}\n"
        "resources: {requests: {ephemeral-storage: 2Gi}, limits: {ephemeral-storage: 1Gi}}",
        ["spec.resources.requests.ephemeral-storage must not be above"],
    ),
    "an endless backoff": (
        "machine: M\nmodel: {type: gru}\nrunPolicy: {backoffLimit: 1000}",
        ["spec.runPolicy.backoffLimit", "20"],
    ),
    "no time at all": (
        "machine: M\nmodel: {type: gru}\nrunPolicy: {activeDeadlineSeconds: 0}",
        ["spec.runPolicy.activeDeadlineSeconds", "greater than"],
    ),
}
