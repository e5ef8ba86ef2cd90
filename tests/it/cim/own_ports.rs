//! CIM's clients find everything where it was.

use im_tests::cluster::TestCluster;

use super::friend::{Friend, placed};

/// Route and servers have the ports of CIM's, and so has every address that a login tells.
async fn everything_is_on_cims_own_ports(cluster: TestCluster) {
    let route = cluster.cim();
    assert!(
        cluster.cim_url().ends_with(":8083"),
        "{}",
        cluster.cim_url()
    );
    let mut friends = Vec::new();
    for number in 0..12 {
        let account = route.account(&format!("user-{number}")).await;
        let placed = placed(&route, &account).await;
        let told = (placed.cim_server_port, placed.http_port);
        assert!([(11_211, 8081), (11_212, 8082)].contains(&told), "{told:?}");
        friends.push(Friend::enter(&route, &account).await);
    }
    friends[0].say("hello").await;
    for friend in &friends[1..] {
        friend.hears("hello", friends[0].account()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded() {
    everything_is_on_cims_own_ports(TestCluster::embedded_on_cims_ports().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stores() {
    everything_is_on_cims_own_ports(TestCluster::stores_on_cims_ports().await).await;
}
