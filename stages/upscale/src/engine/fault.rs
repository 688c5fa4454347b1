//! What a fault of the device is, from the words of ONNX Runtime: its C API has one code for all of them.

/// What kind of fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// No memory is left.
    OutOfMemory,
    /// The device or what it takes to use it is not there.
    NoDevice,
    /// Something else.
    Other,
}

/// What its arena says (`bfc_arena.cc`), CUDA's runtime, cuBLAS and cuDNN, TensorRT, and C++.
const OUT_OF_MEMORY: [&str; 7] = [
    "Failed to allocate memory for requested buffer",
    "is smaller than requested bytes of",
    "out of memory",
    "ALLOC_FAILED",
    "OutOfMemory",
    "bad allocation",
    "std::bad_alloc",
];

/// What `providers` says of a library without the device, the loader of its provider, and CUDA without card or driver.
const NO_DEVICE: [&str; 5] = [
    "was built without",
    "Failed to load library",
    "no CUDA-capable device",
    "driver version is insufficient",
    "invalid device ordinal",
];

impl FaultKind {
    /// The kind of the fault that ONNX Runtime put into these words.
    #[must_use]
    pub fn of(words: &str) -> Self {
        let says = |any: &[&str]| any.iter().any(|part| words.contains(part));
        if says(&OUT_OF_MEMORY) {
            Self::OutOfMemory
        } else if says(&NO_DEVICE) {
            Self::NoDevice
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_library_tell_what_kind_of_fault_it_is() {
        for (words, kind) in [
            (
                "Non-zero status code returned while running Conv node. Name:'c' Status Message: /onnxruntime_src/onnxruntime/\
                 core/framework/bfc_arena.cc:376 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, Stream*) \
                 Failed to allocate memory for requested buffer of size 17179869184",
                FaultKind::OutOfMemory,
            ),
            (
                "CUDA failure 2: out of memory ; GPU=0 ; hostname=h ; expr=cudaMalloc(&p, size);",
                FaultKind::OutOfMemory,
            ),
            ("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0", FaultKind::OutOfMemory),
            ("cuda: this ONNX Runtime library was built without CUDA", FaultKind::NoDevice),
            (
                "Failed to load library libonnxruntime_providers_cuda.so with error: libcublasLt.so.12",
                FaultKind::NoDevice,
            ),
            ("CUDA failure 100: no CUDA-capable device is detected", FaultKind::NoDevice),
            ("CUDNN failure 5000: CUDNN_STATUS_EXECUTION_FAILED", FaultKind::Other),
        ] {
            assert_eq!(FaultKind::of(words), kind, "{words}");
        }
    }
}
