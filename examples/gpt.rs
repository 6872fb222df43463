//! Four workers learn to write like the King James Bible, from the text within the program: a GPT of 85 thousand
//! parameters on bytes. Each takes ten steps of AdamW by itself, then sends a sixteenth of where they led, two bits a
//! number (SparseLoCo).
//!
//! ```text
//! cargo run --example gpt
//! cargo run --example gpt -- 20    # steps; with fewer than 600 nothing is asserted of what was learnt
//! ```

use backburn::train::data::Options;
use backburn::train::models::Classifier;
use backburn::train::run::{RunConfig, Trainer};
use backburn::train::session::Schedule;
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

const STEPS: u64 = 600;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let steps = std::env::args().nth(1).map_or(Ok(STEPS), |text| text.parse())?;
    let config = RunConfig {
        data: "kjv-embedded".parse()?, // or `text:FILE`
        model: "gpt:layers=1,dim=64,heads=4,context=32".parse()?,
        workers: 4,
        batch: 4,
        steps,
        algorithm: "sparse-loco".parse()?,
        compressor: "topk:256/4096,values=2bit,tiles".parse()?,
        local_steps: 10,
        schedule: Schedule { lr: 4e-3, drops: vec![0.8], factor: 3.0, warmup: 0.05 },
        link: Some("100Mbit,20ms".parse()?),
        ..RunConfig::default()
    };
    let mut trainer = Trainer::load(config, &Options::default())?;
    let tenth = (steps / 10).max(1);
    while trainer.progress().0 < steps {
        let step = trainer.step()?;
        if (step.number + 1).is_multiple_of(tenth) {
            println!("step {:4}  loss {:.3}", step.number + 1, step.loss);
        }
    }
    let summary = trainer.summary(trainer.trains().evaluate()?);
    let perplexity = summary.perplexity.ok_or("text has a perplexity")?;
    println!("\nvalidation loss {:.3}, perplexity {perplexity:.2}", summary.test_loss);
    println!("{:.0} times fewer bytes up than dense gradients", summary.compression_ratio);
    if let Some(on_link) = summary.seconds_on_link {
        let (_, seconds) = on_link.best();
        println!("{seconds:.1} s of exchanges at 100 Mbit/s and 20 ms, dense ones {:.1} s", on_link.dense);
    }
    let text = write(&trainer.trains().model()?, "And God said, ", 120);
    println!("\n{text}");

    if steps >= STEPS {
        // Single bytes have a perplexity of 23 in this text, whatever is before them.
        assert!(perplexity < 12.0, "it has learnt what follows what");
        assert!(summary.compression_ratio > 300.0, "a round in ten steps, a sixteenth, two bits a number");
    }
    Ok(())
}

/// Goes on from a beginning with so many bytes, each the likeliest.
fn write(model: &Classifier, beginning: &str, bytes: usize) -> String {
    let (model, device) = (model.valid(), Device::default());
    let mut text = beginning.as_bytes().to_vec();
    for _ in 0..bytes {
        let window: Vec<f32> = text[text.len().saturating_sub(32)..].iter().map(|byte| f32::from(*byte)).collect();
        let length = window.len();
        let logits = model.forward(Tensor::from_data(TensorData::new(window, [1, 1, 1, length]), &device));
        let next = logits.slice([length - 1..length, 0..256]).argmax(1).into_scalar::<i64>();
        text.push(next as u8);
    }
    String::from_utf8_lossy(&text).into_owned()
}
