/* What a service manager is told, by the protocol of sd_notify(3): datagrams to $NOTIFY_SOCKET.
 * Without that variable nothing is done. */
#ifndef WORKER_NOTIFY_H
#define WORKER_NOTIFY_H

#include <sys/types.h>

/* The data plane is up. */
void notify_ready(void);

/* The data plane ends, and drains before. */
void notify_stopping(void);

/* Another process is the service's main one from now on. */
void notify_main_pid(pid_t pid);

#endif
