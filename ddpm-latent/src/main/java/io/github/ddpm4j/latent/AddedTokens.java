package io.github.ddpm4j.latent;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * Tokens that are found in a text as they are written, before anything else is done with it: those
 * with a meaning of their own, and words that a textual inversion added. The longest counts.
 */
final class AddedTokens {

  /**
   * One of them.
   *
   * @param id its number
   * @param stripsLeft whether white space in front of it belongs to it
   * @param stripsRight whether white space behind it belongs to it
   */
  record Added(int id, boolean stripsLeft, boolean stripsRight) {}

  private final Map<String, Added> tokens;
  private final Pattern pattern;

  AddedTokens(Map<String, Added> tokens) {
    this.tokens = Map.copyOf(tokens);
    pattern =
        Pattern.compile(
            tokens.keySet().stream()
                .sorted(Comparator.comparingInt(String::length).reversed())
                .map(Pattern::quote)
                .collect(Collectors.joining("|")));
  }

  /** The numbers of a text, of which {@code others} knows what lies between these tokens. */
  List<Integer> ids(String text, Subwords others) {
    List<Integer> ids = new ArrayList<>();
    if (tokens.isEmpty()) {
      others.add(text, ids);
      return ids;
    }
    Matcher matcher = pattern.matcher(text);
    int end = 0;
    boolean strip = false;
    while (matcher.find()) {
      Added added = Objects.requireNonNull(tokens.get(matcher.group()));
      String between = text.substring(end, matcher.start());
      between = strip ? between.stripLeading() : between;
      others.add(added.stripsLeft ? between.stripTrailing() : between, ids);
      ids.add(added.id);
      strip = added.stripsRight;
      end = matcher.end();
    }
    String rest = text.substring(end);
    others.add(strip ? rest.stripLeading() : rest, ids);
    return ids;
  }
}
