//! Prints the rows of `backburn bench compress`, without the rest of Backburn.
//!
//! `compress [--shape resnet18|resnet50|FILE] [--layout flat|layers] [--json] [COMPRESSOR …]`

use backburn_bench::Model;
use backburn_bench::compress::{Options, render, rows};
use backburn_compress::Scope;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let mut options = Options::new(Model::load("resnet18")?);
    let (mut json, mut compressors) = (false, Vec::new());
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--json" => json = true,
            "--shape" => options.model = Model::load(&value()?)?,
            "--samples" => options.samples = value()?.parse()?,
            "--layout" => {
                options.scopes = match value()?.as_str() {
                    "flat" => vec![Scope::Global],
                    "layers" => vec![Scope::Parameter],
                    other => return Err(format!("unknown layout `{other}`; known: flat, layers").into()),
                }
            }
            text => compressors.push(text.parse()?),
        }
    }
    if !compressors.is_empty() {
        options.compressors = compressors;
    }
    let rows = rows(&options, |row| {
        if json {
            println!("{}", serde_json::to_string(row).expect("a row is plain data"));
        }
    })?;
    if !json {
        print!("{}", render(&rows));
    }
    Ok(())
}
