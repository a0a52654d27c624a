#include "base/stop.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static volatile sig_atomic_t flag;
static volatile sig_atomic_t event_fd = -1;

static void raise_event(void)
{
	uint64_t one = 1;

	if (event_fd >= 0 && write(event_fd, &one, sizeof(one)) < 0)
		return; /* already readable: the counter is full */
}

static void on_signal(int signo)
{
	int saved = errno;

	flag = signo;
	raise_event();
	errno = saved;
}

int stop_install(struct err *e)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction act = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	if (event_fd < 0)
		event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (event_fd < 0)
		return err_sys(e, ERR_MACHINE, "eventfd");
	sigemptyset(&act.sa_mask);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		struct sigaction old;

		/* nohup and shells' background jobs ignore signals on purpose */
		if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler == SIG_IGN)
			continue;
		if (sigaction(signals[i], &act, NULL) < 0)
			return err_sys(e, ERR_MACHINE, "sigaction");
	}
	sigaction(SIGPIPE, &ignore, NULL);
	return 0;
}

int stop_signal(void)
{
	return flag;
}

int stop_fd(void)
{
	return event_fd;
}

void stop_set(int signal)
{
	uint64_t sink;

	flag = signal;
	if (signal)
		raise_event();
	else if (event_fd >= 0 && read(event_fd, &sink, sizeof(sink)) < 0)
		return; /* was not set */
}
