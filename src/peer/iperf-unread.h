/* iperf-unread - what a peer on this host has received and not read yet */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Bytes in the receive queue of the other end of a connected socket (IPv4 or IPv6), as the kernel's socket diagnosis tells
 * (sock_diag(7)); -1 where it cannot: the other end is on another host or in another network namespace.
 */
int64_t iperf_unread(int fd, bool udp);
