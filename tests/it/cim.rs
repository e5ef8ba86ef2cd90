//! CIM's clients in our cluster, and its users moving in.

mod access;
mod endpoints;
mod friend;
mod hostile;
mod losses;
mod mixed;
mod moving;
mod own_ports;
mod presence;
mod situations;

use im_tests::cluster::TestCluster;

/// What must hold in every kind of cluster that lets clients of CIM in.
macro_rules! everywhere {
    ($($topic:ident::$scenario:ident)*) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $scenario() {
                let cluster = super::TestCluster::embedded_for_cim(1).await;
                super::$topic::$scenario(cluster).await;
            })*
        }
        mod stores {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $scenario() {
                let cluster = super::TestCluster::stores_for_cim(2, 2).await;
                super::$topic::$scenario(cluster).await;
            })*
        }
        mod standalone {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $scenario() {
                let cluster = super::TestCluster::standalone_for_cim().await;
                super::$topic::$scenario(cluster).await;
            })*
        }
    };
}

everywhere! {
    situations::a_group_chats
    situations::private_texts_and_batches_arrive
    situations::users_go_and_come_back
    situations::whoever_closes_is_gone_at_once
    situations::unknown_users_are_told_so
    situations::what_waits_comes_under_the_right_names
    situations::fetching_brings_nothing_twice
    endpoints::names_are_registered_once
    endpoints::a_second_login_is_refused
    endpoints::who_is_online_is_listed
    endpoints::further_fields_are_ignored
    endpoints::what_is_no_request_has_the_status_of_spring
    endpoints::texts_of_any_kind_arrive
    losses::what_comes_between_both_logins_waits
    losses::what_a_cut_took_comes_again
    losses::the_group_is_kept_for_who_is_away
    losses::an_unknown_sender_is_told
    losses::nothing_that_waits_is_poisonous
    losses::texts_keep_their_order
    presence::a_late_end_ends_nothing_newer
    presence::a_login_that_never_connects_keeps_nobody_out
    presence::a_killed_client_keeps_nobody_out
    presence::nobody_else_is_sent_away
    hostile::a_login_frame_alone_takes_nobody_over
    hostile::nobody_speaks_for_a_protected_account
    hostile::a_name_is_never_a_key
    hostile::nothing_waits_for_nobody
    hostile::hostile_bytes_hurt_nobody_else
    hostile::a_reader_who_stalls_holds_up_nobody
    mixed::everybody_is_listed_for_everybody
    mixed::private_messages_cross
    mixed::the_lobby_is_one
}

/// What needs servers that can be stopped.
macro_rules! with_servers {
    ($($topic:ident::$scenario:ident)*) => {
        mod one_server {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $scenario() {
                let cluster = super::TestCluster::embedded_for_cim(1).await;
                super::$topic::$scenario(cluster).await;
            })*
        }
        mod one_server_over_stores {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $scenario() {
                let cluster = super::TestCluster::stores_for_cim(1, 1).await;
                super::$topic::$scenario(cluster).await;
            })*
        }
    };
}

with_servers! {
    situations::clients_come_back_after_a_server_stops
    endpoints::without_a_server_a_login_says_so
}
