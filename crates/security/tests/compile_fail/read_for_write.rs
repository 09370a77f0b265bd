//! E0308
use crannog_security::Permit;
use crannog_security::actions::volumes;

fn write(_: &Permit<volumes::Write>) {}

pub fn with_read(permit: &Permit<volumes::Read>) {
    write(permit)
}
