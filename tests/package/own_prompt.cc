// Continues a text, with the headers of slm::core.

#include <cstdio>
#include <string_view>
#include <vector>

#include "slm/generate.h"
#include "slm/model.h"
#include "slm/sampler.h"
#include "slm/session.h"
#include "slm/version.h"

int main(int, char** argv) {
  const auto model = slm::Model::Open(argv[1]);
  if (!model.ok()) return 1;
  const auto prompt = model->tokenizer().Encode("The town has a river", {.add_special = true});
  auto session = slm::Session::Create(*model);
  if (!prompt.ok() || !session.ok()) return 2;
  slm::Sampler sampler({.temperature = 0});
  const auto result = slm::Generate(*session, sampler, *prompt, {.max_tokens = 8, .ignore_end = true}, {});
  if (!result.ok() || result->generated_tokens != 8) return 3;
  std::printf("libslm %s: %s\n", slm::Version().c_str(), result->text.c_str());
  return 0;
}
