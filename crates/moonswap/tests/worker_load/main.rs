//! A thousand tasks call eight VMs while a hundred patches a second arrive: no call and
//! no patch is lost, and nobody meets older code than before.
#![cfg(feature = "worker")]

mod load;

use std::time::Duration;

use load::{Load, run};

const LOAD: Load = Load {
    vms: 8,
    tasks: 1000,
    calls_per_task: 10,
    rest: Duration::from_millis(150),
    patch_every: Some(Duration::from_millis(10)),
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost() -> moonswap::Result<()> {
    for load in [
        Load {
            patch_every: None,
            ..LOAD
        },
        LOAD,
    ] {
        let outcome = run(load).await?;
        println!(
            "patches {}: p50 {:?}, p99 {:?}, {:?}",
            outcome.patches,
            outcome.quantile(500),
            outcome.quantile(990),
            outcome.time
        );
        assert_eq!(outcome.counted, load.tasks * load.calls_per_task);
        assert_eq!(outcome.latencies.len(), outcome.counted);
        assert!(outcome.failed.is_empty(), "{:?}", outcome.failed.first());
        assert_eq!(outcome.versions, vec![outcome.patches + 1; load.vms]);
        assert_eq!(outcome.stepped_back, 0);
        // A machine under load may fall behind; without any patch nothing was tested.
        assert_eq!(outcome.patches >= 20, load.patch_every.is_some());
    }
    Ok(())
}
