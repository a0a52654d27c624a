/* rpyc-session - calls of an RPyC server as operations of the engine */
#pragma once

#include "io/session.h"
#include "peer/group.h"
#include "peer/rpyc-link.h"

/* What an answer must be. Anything else is the failure "corrupt". */
enum rpyc_check {
	RPYC_CHECK_NONE,   /* any value or reference */
	RPYC_CHECK_STEADY, /* the same value as the session's first answer */
	RPYC_CHECK_ECHO,   /* the payload, as bytes or str */
	RPYC_CHECK_LENGTH, /* `length` bytes or characters of ASCII, the same ones each time */
	RPYC_CHECK_COUNT,  /* the int `length`, or nothing (None) */
	RPYC_CHECK_VALUE,  /* the brine in expect[0..expect_len) */
};

/* One call: root.NAME(*args, payload, **kwargs). Everything is borrowed. */
struct rpyc_exchange {
	const char *name;
	const uint8_t *args; /* values in brine, one behind the other */
	size_t args_len;
	uint32_t n_args;
	const uint8_t *payload; /* a last argument as bytes, with has_payload */
	size_t payload_len;
	bool has_payload;
	const uint8_t *kwargs; /* pairs in brine */
	size_t kwargs_len;
	uint32_t n_kwargs;
	enum rpyc_check check;
	uint64_t length;
	const uint8_t *expect;
	size_t expect_len;
};

enum rpyc_work {
	RPYC_WORK_CONNECT, /* a TCP connection, closed again after its time */
	RPYC_WORK_READY,   /* a connection and the root of its service */
	RPYC_WORK_CALL,	   /* the exchanges */
};

/* Marks that READY and `fresh` calls set: "phase.tcp", "phase.tls", "phase.root", "phase.answer", NULL. */
extern const char *const rpyc_phases[];

enum { RPYC_WORDS_MAX = 16 };

/* What was learned of a server, by whichever session was first; shared by all plans of a target. */
struct rpyc_facts {
	void *lock;		       /* pthread mutex */
	enum rpyc_layout layout;       /* NONE: not known yet; may be set from the start */
	char service[96];	       /* class of the root */
	char version[32];	       /* of RPyC over there, "" where it never told */
	char word[RPYC_WORDS_MAX][48]; /* of remote exceptions: "remote-KeyError" */
	size_t n_words;
};
int rpyc_facts_init(struct rpyc_facts *f, struct err *e) ERR_MUST_CHECK;
void rpyc_facts_done(struct rpyc_facts *f);

struct rpyc_group;

/* Shared by all sessions of a case; not changed while one lives. */
struct rpyc_plan {
	struct addr server;
	const struct http_place *place; /* through TLS; NULL: plain. Borrowed */
	unsigned sessions;		/* at once, at most */
	struct rpyc_facts *facts;	/* borrowed */
	enum rpyc_work work;
	const struct rpyc_exchange *exchange; /* of one operation, for CALL */
	size_t n_exchanges;
	unsigned
		in_flight; /* requests sent before the first answer is waited for; one exchange: it is done so often */
	bool python;	      /* GETATTR, CALL, DEL as conn.root.f() does; else one CALLATTR */
	bool compress;	      /* as Python does */
	bool fresh;	      /* a new connection for each operation */
	size_t max_answer;    /* bytes of one, inflated; what exceeds it is a bad answer */
	struct groups groups; /* own: what the sessions of a thread share */
};

int rpyc_plan_init(struct rpyc_plan *p, struct err *e) ERR_MUST_CHECK;
/* After the last session was freed. */
void rpyc_plan_done(struct rpyc_plan *p);
/*
 * A new session. Words of failures: those of rpyc-link.h, "remote-NAME" (an exception of the server's; its text is the
 * detail), "corrupt", "version" (the layout is fixed and the server speaks the other).
 * *answered (may be NULL) grows by 1 with every operation that succeeded.
 */
int rpyc_session_new(struct rpyc_plan *p, struct loop *loop, uint64_t *answered,
		     struct session **out, struct err *e) ERR_MUST_CHECK;
/* Between windows, when no session is being driven: sums and clears what was counted. */
void rpyc_plan_collect(struct rpyc_plan *p, struct rpyc_tally *out);
