"""Specs that API server and trainer accept."""

from collections.abc import Mapping
from typing import Any

GRU: Mapping[str, Any] = {"machine": "MOTOBOMBA-007", "model": {"type": "gru"}}

VALID = {
    "nothing but what is needed": "machine: MOTOBOMBA-007\nmodel: {type: gru}",
    "a whole gru": """
        machine: ITU-415
        model:
          type: gru
          gru:
            sequenceLength: 60
            units: [64, 32]
            dropout: 0.2
            epochs: 100
            stepsPerEpoch: 500
            batchSize: 32
            learningRate: 1.0e-3
            validationFraction: 0.1
            earlyStoppingPatience: 15
            reduceLROnPlateauPatience: 5
            features: [Oil_P, Oil_L, Recalque, Succao, Eng_RPM]
            missingIndicators: Neutral
            healthRanges: {Oil_P: {min: 0, max: 700}}
            output: Residual
          seed: 0
        data:
          startDate: "2025-01-01"
          endDate: "2025-08-31"
          table: telemetry.processed_data
          columns: {Recalque: FlexAnalogue4_1, Succao: "Suction Pressure"}
          limits: {Oil_P: {min: 0, max: 1500}, Cool_T: {max: 150}}
          maxGapSeconds: 600
          minRows: 500
          testFraction: 0.25
          databaseSecretName: telemetry-database
        artifacts: {bucket: models-eu, secretName: store}
        gates: [{metric: skill, min: 0.0}, {metric: rmse, max: 0.05}]
        reuse: Never
        accelerator:
          policy: Preferred
          resourceName: nvidia.com/mig-1g.10gb
          fallbackAfterSeconds: 60
          nodeSelector: {gpu: a100}
          tolerations: [{key: gpu, operator: Exists, effect: NoSchedule}]
          runtimeClassName: nvidia
        resources: {requests: {cpu: 2, memory: 4Gi, ephemeral-storage: 1Gi}, limits: {cpu: "2.5", memory: 4Gi}}
        scheduling:
          nodeSelector: {topology.kubernetes.io/zone: eu-1, empty: ""}
          tolerations: [{operator: Exists, effect: NoExecute, tolerationSeconds: 60}]
          priorityClassName: night
          queueName: training
        runPolicy:
          suspend: true
          backoffLimit: 0
          activeDeadlineSeconds: 3600
          schedulingTimeoutSeconds: 600
          stallTimeoutSeconds: 600
          jobTTLSecondsAfterFinished: 0
        """,
    "a whole xgb": """
        machine: P
        model:
          type: xgb
          xgb:
            preFailureWindowMinutes: 30
            rpmDropPercent: -70.5
            search:
              nEstimators: [100, 200]
              maxDepth: [4, 6, 8]
              learningRate: [0.05, 0.1, 0.2]
              subsample: [0.8, 1.0]
              scoring: average_precision
            folds: 3
            targetRecall: 0.8
        data: {lookbackDays: 90}
        gates: [{metric: auc_score, min: 0.7}]
        """,
    "fields that are written but empty": """
        machine: P
        model: {type: gru, gru: {stepsPerEpoch: , epochs: 3}, seed: }
        data: {startDate: , lookbackDays: 3}
        gates:
        accelerator:
        """,
    "one whole day": "machine: P\nmodel: {type: xgb}\ndata: {startDate: '2024-02-29', endDate: '2024-02-29'}",
    "features of any kind for Direct": "machine: P\nmodel: {type: gru, gru: {output: Direct, features: [Bat_V]}}",
    "features without indicators that may be missing": (
        "machine: P\nmodel: {type: gru, gru: {missingIndicators: Neutral, features: [Oil_P, Eng_RPM]}}"
    ),
}
