use super::*;

/// The metadata of a waveform model, with `changes` made; an empty value removes the key.
fn waveform_metadata(changes: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut metadata: BTreeMap<String, String> = [
        ("contract", "1"),
        ("channels", "1"),
        ("kind", "waveform"),
        ("input_rate", "16000"),
        ("output_rate", "48000"),
        ("window", "1024"),
        ("context_left", "32"),
        ("context_right", "64"),
    ]
    .iter()
    .chain(changes)
    .map(|(key, value)| (format!("treble.{key}"), (*value).to_owned()))
    .collect();
    metadata.retain(|_, value| !value.is_empty());
    metadata
}

#[test]
fn a_waveform_model_is_read() {
    let spec = ModelSpec::from_metadata(&waveform_metadata(&[])).unwrap();
    let ModelSpec::Waveform(waveform) = &spec else { panic!("{spec:?}") };
    assert_eq!((waveform.left, waveform.core, waveform.right, waveform.ratio), (32, 928, 64, 3));
    assert_eq!(spec.output_rate(), SampleRate::HZ_48000);
    assert_eq!((spec.input().len(), spec.outputs()[0].len()), (1_024, 3_072));
}

#[test]
fn every_fault_names_its_key() {
    for (key, value) in [
        ("contract", "2"),
        ("contract", ""),
        ("kind", "diffusion"),
        ("channels", "2"),
        ("input_rate", "0"),
        ("output_rate", "44100"),
        ("window", "96"),
        ("window", "99999999999"),
        ("context_left", "-1"),
        ("context_right", "many"),
    ] {
        let error = ModelSpec::from_metadata(&waveform_metadata(&[(key, value)])).unwrap_err().to_string();
        assert!(error.contains(&format!("treble.{key}")), "{key} = {value}: {error}");
    }
}
