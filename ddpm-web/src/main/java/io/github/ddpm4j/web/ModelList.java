package io.github.ddpm4j.web;

import ai.djl.ndarray.types.Shape;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.model.Denoiser;
import java.util.List;
import java.util.OptionalInt;
import java.util.stream.IntStream;

/** What the page may choose from, as JSON. */
final class ModelList {

  private static final double MOST_GUIDANCE = 8;
  private static final double MOST_GUIDANCE_BY_TEXT = 15;

  private final Drawings drawings;

  ModelList(Drawings drawings) {
    this.drawings = drawings;
  }

  String json() {
    JsonObject all = new JsonObject();
    JsonArray models = new JsonArray();
    drawings.models().forEach((name, model) -> models.add(model(name, model)));
    all.add("models", models);
    JsonArray samplers = new JsonArray();
    Drawings.SAMPLERS.forEach(
        (text, label) -> {
          JsonObject one = new JsonObject();
          one.addProperty("text", text);
          one.addProperty("label", label);
          samplers.add(one);
        });
    all.add("samplers", samplers);
    all.addProperty("mostPictures", DrawRequest.MOST_PICTURES);
    all.addProperty("mostSteps", DrawRequest.MOST_STEPS);
    all.addProperty("mostText", DrawRequest.MOST_PROMPT);
    return all.toString();
  }

  private static JsonObject model(String name, PageModel model) {
    DDPM ddpm = model.ddpm();
    Shape shape = model.shape();
    JsonObject one = new JsonObject();
    one.addProperty("name", name);
    one.addProperty("width", shape.get(2));
    one.addProperty("height", shape.get(1));
    one.addProperty("colour", shape.get(0) == 3);
    one.addProperty("mostSteps", Math.min(DrawRequest.MOST_STEPS, ddpm.schedule().timesteps() - 1));
    one.addProperty("fills", shape.get(1) * shape.get(2) <= DrawRequest.MOST_FILLED);
    one.addProperty("text", model.takesText());
    one.addProperty("guidance", model.usualGuidance());
    one.addProperty("mostGuidance", model.takesText() ? MOST_GUIDANCE_BY_TEXT : MOST_GUIDANCE);
    JsonArray attributes = new JsonArray();
    ddpm.attributes()
        .ifPresent(
            known ->
                known
                    .values()
                    .forEach(
                        (attribute, values) -> {
                          JsonObject about = new JsonObject();
                          about.addProperty("name", attribute);
                          about.add("values", texts(values));
                          attributes.add(about);
                        }));
    one.add("attributes", attributes);
    one.add("classes", texts(attributes.isEmpty() ? classes(ddpm) : List.of()));
    return one;
  }

  /** What the classes are called, by number where they have no names. */
  static List<String> classes(DDPM ddpm) {
    OptionalInt count = ddpm.denoiser().map(Denoiser::classes).orElse(OptionalInt.empty());
    if (count.isEmpty()) {
      return List.of();
    }
    List<String> names = ddpm.classNames();
    return names.isEmpty()
        ? IntStream.range(0, count.getAsInt()).mapToObj(Integer::toString).toList()
        : names;
  }

  private static JsonElement texts(List<String> words) {
    JsonArray all = new JsonArray();
    words.forEach(all::add);
    return all;
  }
}
