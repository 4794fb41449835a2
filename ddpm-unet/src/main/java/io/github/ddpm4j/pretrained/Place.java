package io.github.ddpm4j.pretrained;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Where a weight of ours is in the network.
 *
 * @param way the way down, the middle, or the way up
 * @param block the place in its way: on the way up, 0 is the lowest level
 * @param part what the weight belongs to
 * @param index the place of that in its block
 * @param rest the name within it, such as {@code norm1.weight}
 */
record Place(Way way, int block, Part part, int index, String rest) {

  private static final Pattern NAME =
      Pattern.compile(
          "(?:(down|up)_blocks\\.(\\d+)|mid_block)"
              + "\\.(resnets|attentions|downsamplers|upsamplers)\\.(\\d+)\\.(.+)");

  /** The three ways through the network. */
  enum Way {
    DOWN,
    MIDDLE,
    UP
  }

  /** What blocks are made of. */
  enum Part {
    RESIDUAL,
    ATTENTION,
    PASSAGE
  }

  /** Empty for what is in no block. */
  static Optional<Place> of(String name) {
    Matcher matcher = NAME.matcher(name);
    if (!matcher.matches()) {
      return Optional.empty();
    }
    String way = matcher.group(1);
    Part part =
        switch (matcher.group(3)) {
          case "resnets" -> Part.RESIDUAL;
          case "attentions" -> Part.ATTENTION;
          default -> Part.PASSAGE;
        };
    return Optional.of(
        new Place(
            way == null ? Way.MIDDLE : way.equals("down") ? Way.DOWN : Way.UP,
            way == null ? 0 : Integer.parseInt(matcher.group(2)),
            part,
            Integer.parseInt(matcher.group(4)),
            matcher.group(5)));
  }

  /** The level, 0 at full size, of a network of so many. */
  int level(int levels) {
    return switch (way) {
      case DOWN -> block;
      case MIDDLE -> levels - 1;
      case UP -> levels - 1 - block;
    };
  }

  /** The layer of the weight, such as {@code norm1}. */
  String layer() {
    return rest.substring(0, rest.lastIndexOf('.'));
  }

  /** What the weight is to its layer: {@code weight} or {@code bias}. */
  String kind() {
    return rest.substring(rest.lastIndexOf('.') + 1);
  }
}
