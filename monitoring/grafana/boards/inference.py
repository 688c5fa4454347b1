"""Inference: is the model's device well used?"""

from frame import Board
from panel import heat, limits, lines, q, quantiles, tile


def board():
    made = Board("treble-inference", "Inference", "Is the device that runs the model well used? Panels of the card are empty on machines without one.")
    made.row(
        "Now",
        tile("Windows in a run", "Average number of windows that share a run of the model.", "short",
             q("sum(rate(treble_batch_size_sum{@all}[$__rate_interval])) / sum(rate(treble_batch_size_count{@all}[$__rate_interval]))"), span=6, decimals=1),
        tile("Runs", "Runs of the model.", "ops", q('sum(rate(treble_inference_executions_total{@all,outcome="success"}[$__rate_interval]))'), span=6),
        tile("Failed runs", "Runs that ended with an error of library or device, in 15 minutes.", "short",
             q('sum(increase(treble_inference_executions_total{@all,outcome="backend"}[15m]))'), span=6, steps=[(None, "green"), (1, "red")]),
        tile("Fallbacks to the processor", "Processes whose model could not be run on the GPU.", "short",
             q("sum(treble_gpu_fallback_total{@all})"), span=6, steps=[(None, "green"), (1, "orange")]),
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
    card = "{{instance}} {{gpu}}"
    made.row(
        "The card",
        lines("GPU memory in use", "Share of the card's memory that is in use, by whomever.", "percentunit",
              q('gpu:memory_used:ratio{cluster=~"$cluster",instance=~"$instance"}', card), steps=limits("gpu_memory_high", "gpu_memory_full"), highest=1),
        lines("GPU memory of the process", "Memory of the card that the process holds, its pool and its context, beside all that is in use.", "bytes",
              q("max by (instance, gpu) (treble_gpu_memory_pool_bytes{@all})", f"process: {card}"),
              q("max by (instance, gpu) (treble_gpu_memory_used_bytes{@all})", f"all: {card}")),
        lines("Load of the GPU", "Share of the time in which the card ran anything.", "percentunit",
              q("max by (instance, gpu) (treble_gpu_utilization_ratio{@all})", card), steps=limits("gpu_idle", least=True), highest=1),
        lines("Temperature", "Temperature of the card's chip.", "celsius", q("max by (instance, gpu) (treble_gpu_temperature_celsius{@all})", card), lowest=None),
        lines("Clock", "Clock of the card's multiprocessors.", "hertz", q("max by (instance, gpu) (treble_gpu_clock_hertz{@all})", card)),
        lines("Clock held down", "Share of the time in which the card's clock was held down, by reason.", "percentunit",
              q("sum by (instance, gpu, reason) (rate(treble_gpu_throttled_seconds_total{@all}[$__rate_interval]))", f"{card} {{{{reason}}}}"),
              steps=limits("gpu_throttled_share"), highest=1),
        lines("Power", "Energy that the card uses in a second.", "watt",
              q("sum by (instance, gpu) (rate(treble_gpu_energy_joules_total{@all}[$__rate_interval]))", card)),
        lines("Audio for a joule", "Seconds of audio that come out of the stage for each joule that its cards use.", "s",
              q('sum(rate(treble_audio_seconds_total{@all,stage=~".*upscale.*"}[$__rate_interval])) / sum(rate(treble_gpu_energy_joules_total{@all}[$__rate_interval]))', "audio")),
        lines("Faults of the GPU", "Faults that the driver told of, by what their number (XID) means, in the last hour.", "short",
              q("sum by (instance, gpu, class) (increase(treble_gpu_errors_total{@all}[1h]))", f"{card} {{{{class}}}}")),
    )
    made.row(
        "Failures",
        lines("Out of memory", "Allocations on the card that found no memory, counted over 5 minutes.", "short",
              q("sum by (instance, gpu) (increase(treble_gpu_oom_total{@all}[5m]))", card), steps=[(None, "green"), (1, "red")], span=8),
        lines("Fallback reasons", "Why the model runs on the processor: times that each process began there.", "short",
              q("sum by (reason) (treble_gpu_fallback_total{@all})", "{{reason}}"), span=8),
        lines("Errors of the model", "Clips given up because of the model or its device.", "cps",
              q('sum by (error_type) (rate(processing_errors_total{@all,error_type=~"gpu_oom|gpu_error|inference_timeout"}[$__rate_interval]))', "{{error_type}}"), span=8),
    )
    return made
