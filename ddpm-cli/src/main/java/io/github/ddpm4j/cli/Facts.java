package io.github.ddpm4j.cli;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** What a command found out, in lines for people and in one of JSON for programs. */
final class Facts {

  private final List<String> lines = new ArrayList<>();
  private final JsonObject json = new JsonObject();

  /** A line with a name before it. */
  Facts named(String name, Object value) {
    return named(name, value, new JsonPrimitive(String.valueOf(value)));
  }

  /** A line with a name before it, which is something else for programs. */
  Facts named(String name, Object value, JsonElement forPrograms) {
    json.add(name, forPrograms);
    return line(name, value);
  }

  /** A line with a name before it for people alone. */
  Facts line(String name, Object value) {
    return line(String.format(Locale.ROOT, "%-18s %s", name, value));
  }

  /** A line for people alone. */
  Facts line(String line) {
    lines.add(line);
    return this;
  }

  /** What is for programs alone. */
  Facts json(String name, JsonElement value) {
    json.add(name, value);
    return this;
  }

  /** A line for each of some texts, which are one object for programs. */
  Facts all(String name, Map<String, ?> texts) {
    JsonObject object = new JsonObject();
    texts.forEach(
        (word, text) -> {
          line(word, text);
          object.addProperty(word, String.valueOf(text));
        });
    json.add(name, object);
    return this;
  }

  /** What was found of a part, in lines below these. */
  Facts part(String name, Facts part) {
    lines.addAll(part.lines);
    json.add(name, part.json);
    return this;
  }

  /** Tells all of it. */
  void print(PrintWriter out, boolean asJson) {
    if (asJson) {
      out.println(json);
    } else {
      lines.forEach(out::println);
    }
    out.flush();
  }
}
