/* json - jansson with every return checked */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

CLEANUP_PTR(json_t, json_decref)

/* The largest integer that every JSON reader keeps exactly: 2^53 - 1. */
#define JSON_INTEGER_MAX INT64_C(9007199254740991)

/* Each takes `value` (also when it fails) and treats NULL as out of memory. */
int json_put(json_t *object, const char *key, json_t *value, struct err *e) ERR_MUST_CHECK;
int json_push(json_t *array, json_t *value, struct err *e) ERR_MUST_CHECK;
/* Puts a new, empty object (array) and hands a borrowed reference back; NULL with *e filled. */
json_t *json_put_object(json_t *object, const char *key, struct err *e);
json_t *json_put_array(json_t *object, const char *key, struct err *e);
/* Pushes a new, empty object and hands a borrowed reference back; NULL with *e filled. */
json_t *json_push_object(json_t *array, struct err *e);

/* null when not finite; an integer when it is one below 2^53. */
json_t *json_number(double value);
/* An integer; null above 2^53 - 1, which no reader would keep. */
json_t *json_u64(uint64_t value);
/* -1 null, 0 false, else true. */
json_t *json_tristate(int value);
/* Valid UTF-8 made of any bytes (invalid ones as \xNN); NULL gives null. */
json_t *json_outside_text(const char *text);
/* The same, "" giving null: texts that are empty when unknown. */
json_t *json_known_text(const char *text);
/* The same with credentials masked: the userinfo of URLs and the values of password-like query keys inside the text. */
json_t *json_masked_text(const char *text);
