// The `attribute` arguments of filters.

#ifndef SLM_TEXT_TEMPLATE_ATTRIBUTE_PATH_H_
#define SLM_TEXT_TEMPLATE_ATTRIBUTE_PATH_H_

#include "text/template/value.h"

namespace slm::jinja {

// item.a.b for the path 'a.b', item[3] for the path 3; undefined if there is no such thing.
Value AtPath(Evaluator& evaluator, const Value& item, const Value& path);

}  // namespace slm::jinja

#endif  // SLM_TEXT_TEMPLATE_ATTRIBUTE_PATH_H_
