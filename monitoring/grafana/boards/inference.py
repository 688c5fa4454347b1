"""Inference: is the model's device well used?"""

from frame import Board
from panel import heat, limits, lines, q, quantiles, tile


def board():
    made = Board("treble-inference", "Inference", "Is the device that runs the model well used? Its own memory, clock and temperature are not measured yet.")
    made.row(
        "Now",
        tile("Windows in a run", "Average number of windows that share a run of the model.", "short",
             q("sum(rate(treble_batch_size_sum{@all}[$__rate_interval])) / sum(rate(treble_batch_size_count{@all}[$__rate_interval]))"), span=6, decimals=1),
        tile("Runs", "Runs of the model.", "ops", q('sum(rate(treble_inference_executions_total{@all,outcome="success"}[$__rate_interval]))'), span=6),
        tile("Failed runs", "Runs that ended with an error of library or device, in 15 minutes.", "short",
             q('sum(increase(treble_inference_executions_total{@all,outcome="backend"}[15m]))'), span=6, steps=[(None, "green"), (1, "red")]),
        tile("Fallbacks to the processor", "Times that the model could not be run on the device that was asked for.", "short",
             q("sum(increase(treble_gpu_fallback_total{@all}[1h]))"), span=6, steps=[(None, "green"), (1, "orange")]),
    )
    made.row(
        "The model",
        lines("Model and version", "The model that each process has loaded.", "short",
              q("count by (model, version) (treble_model_info{@all})", "{{model}} {{version}}"), span=8),
        lines("One run", "Duration of one run of the model.", "s",
              *quantiles("treble_inference_duration_seconds", "@all", "backend"), span=8),
        heat("Runs by duration", "How many runs fall into which range of durations.", "s",
             "sum by (le) (increase(treble_inference_duration_seconds_bucket{@all}[$__rate_interval]))", span=8),
    )
    made.row(
        "Batches",
        lines("Requests and runs", "Callers' requests, and the runs that answered them.", "ops",
              q("sum by (model) (rate(treble_inference_requests_total{@all}[$__rate_interval]))", "requests: {{model}}"),
              q("sum by (model) (rate(treble_inference_executions_total{@all}[$__rate_interval]))", "runs: {{model}}"), span=6),
        lines("Batch occupancy", "Windows in a run, as a share of those that fit; the median.", "percentunit",
              *quantiles("treble_batch_occupancy_ratio", "@all", "model", (0.5,)), steps=limits("occupancy_low", least=True), span=6, highest=1),
        lines("Wait for a batch", "From the first request of a batch to its run.", "s",
              *quantiles("treble_batch_wait_seconds", "@all", "model", (0.5, 0.99)), span=6),
        lines("Why batches are closed", "Full is best; the deadline closes those that are not.", "ops",
              q("sum by (cause) (rate(treble_batch_flush_total{@all}[$__rate_interval]))", "{{cause}}"), span=6),
    )
    made.row(
        "Failures",
        lines("Fallback reasons", "Why the model runs on the processor, counted over the last hour.", "short",
              q("sum by (reason) (increase(treble_gpu_fallback_total{@all}[1h]))", "{{reason}}"), span=12),
        lines("Errors of the model", "Clips given up because of the model or its device.", "cps",
              q('sum by (error_type) (rate(processing_errors_total{@all,error_type=~"gpu_oom|gpu_error|inference_timeout"}[$__rate_interval]))', "{{error_type}}"), span=12),
    )
    return made
