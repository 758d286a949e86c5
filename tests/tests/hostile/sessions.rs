//! Many sessions at once, and what they carry in.

use std::process::Stdio;

use apu_proto::ClientOutcome;
use apu_tests::Fleet;

use crate::answer::{Answer, Connection};
use crate::held::{Held, end_of, started, wait_for};

#[test]
fn ten_channels_of_one_connection_are_four_requests() {
    let fleet = Fleet::of(["web1"]).up();
    let web1 = fleet.host("web1");
    let connection = Connection::open(&fleet, "web1", &[]);
    let held = Held::root_side(web1);
    let channels: Vec<_> = (0..10)
        .map(|_| {
            let mut ssh = connection.ssh(b"apu/1 ping");
            ssh.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    wait_for(web1, 4);
    // More would have come by now: the six others were refused.
    std::thread::sleep(std::time::Duration::from_millis(500));
    let programs: Vec<_> = started(web1).into_iter().map(|started| started.program).collect();
    let (wrappers, other): (Vec<_>, Vec<_>) = programs
        .iter()
        .map(String::as_str)
        .partition(|&program| program == "/usr/lib/apu/apu-wrapper");
    assert_eq!((wrappers.len(), other), (4, vec!["sh"; 4]));
    drop(held);

    let ends: Vec<_> = channels.into_iter().map(end_of).collect();
    let (answered, refused): (Vec<_>, Vec<_>) = ends.into_iter().partition(|end| end.status.success());
    assert_eq!((answered.len(), refused.len()), (4, 6));
    for end in answered {
        Answer::of(end).is(ClientOutcome::Unchanged);
    }
    for end in refused {
        assert_eq!(String::from_utf8_lossy(&end.stdout), "");
    }
    connection.ask(b"apu/1 ping").is(ClientOutcome::Unchanged);
}
