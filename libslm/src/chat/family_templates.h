// Chat templates for models whose file has none.

#ifndef SLM_CHAT_FAMILY_TEMPLATES_H_
#define SLM_CHAT_FAMILY_TEMPLATES_H_

#include <span>
#include <string_view>

#include "slm/tokenizer.h"

namespace slm {

struct FamilyTemplate {
  std::string_view name;
  std::string_view control_token;  // of the vocabulary; tells the family
  std::string_view tokenizer;      // the kind of tokenizer; "": any
  std::string_view source;
};

// More special ones first: the first that fits is the one.
std::span<const FamilyTemplate> FamilyTemplates();

// nullptr if the vocabulary has no family's control token.
const FamilyTemplate* FindFamilyTemplate(const Tokenizer& tokenizer);

}  // namespace slm

#endif  // SLM_CHAT_FAMILY_TEMPLATES_H_
