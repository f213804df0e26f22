"""Thin Beam adapters around the plain Python of ``model``, one idea a file.

The files in the order of the graph (``pipeline/graph.py``); ``elements`` has the types.

| file | transform | takes | gives |
|---|---|---|---|
| ``sources/read`` | ``PlannedSource`` | work items of ``files``, ``people`` | ``RawBatch`` |
| ``sources/kafka`` | ``KafkaSource`` | a topic | ``RawBatch`` |
| ``sources/rows`` | ``FromRows`` | rows of your own: dicts or ``beam.Row`` | ``RawBatch`` |
| ``validate`` | ``Validate`` | ``RawBatch`` | ``AcceptedBatch``; ``Rejects`` |
| ``statistics`` | ``CollectWindows`` | ``AcceptedBatch`` | ``WindowData`` |
| ``normalize`` | ``Normalize`` | ``WindowData`` | ``Normalized`` |
| ``train`` | ``Train``, ``Commit`` | ``Normalized`` | ``FitResult``, then ``Committed`` |
| ``shares`` | ``CommitClasses`` | ``FitResult`` of classes | ``Committed`` |
| ``assign_models`` | ``AssignModels`` | ``AcceptedBatch`` and ``Committed`` | ``ScoringBatch`` |
| ``predict`` | ``Predict`` | ``ScoringBatch`` | ``ScoredBatch`` |
| ``join`` | ``SettleLabels``, ``ScoreAnswers`` | questions, labels | answers, scored |
| ``labels`` | ``TrackQuestions`` | ``ScoredBatch`` | sums, outcomes, cohorts at label time |
| ``last`` | ``CompareLast`` | answered targets | sums of the baseline ``last`` |
| ``evaluate`` | ``Evaluate`` | ``ScoredBatch``, ``Rejects`` | ``Metrics`` a refresh |
| ``sinks``, ``alerts`` | ``Write...`` | what is written below the run's folder | ``WrittenFile`` |

The others help these: ``coders`` and ``versions`` (elements as bytes), ``stamps`` and ``windows``
(Beam's times), ``writing`` (whole files), ``counters``, ``object_store`` (references within a
process), ``resume`` (what a resumed run leaves out), ``testing`` (the public test kit).
"""
