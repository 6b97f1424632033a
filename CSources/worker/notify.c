#include "notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "worker/log.h"

static void notify_send(const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = path == NULL ? 0 : strlen(path);
    int fd;

    if (length < 2 || length >= sizeof(address.sun_path) || (path[0] != '/' && path[0] != '@')) {
        return;
    }
    memcpy(address.sun_path, path, length);
    if (path[0] == '@') {
        address.sun_path[0] = '\0'; /* an abstract name */
    }
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&address,
                         (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0) {
        log_line(LOG_LEVEL_WARN, "the service manager cannot be told: %s", strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
}

void notify_ready(void)
{
    notify_send("READY=1\n");
}

void notify_stopping(void)
{
    notify_send("STOPPING=1\n");
}

void notify_main_pid(pid_t pid)
{
    char text[64];

    snprintf(text, sizeof(text), "MAINPID=%d\nREADY=1\n", (int)pid);
    notify_send(text);
}
