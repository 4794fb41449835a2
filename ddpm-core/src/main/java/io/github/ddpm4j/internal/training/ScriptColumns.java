package io.github.ddpm4j.internal.training;

import io.github.ddpm4j.internal.ops.Script;
import io.github.ddpm4j.internal.ops.Script.Value;
import io.github.ddpm4j.internal.training.StepLayout.Argument;
import io.github.ddpm4j.internal.training.StepLayout.Column;
import io.github.ddpm4j.loss.Loss.Input.Coefficient;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Set;

/**
 * The numbers per image as columns of the program's rows.
 *
 * @param script where to write
 * @param axes of an image, behind its channels
 * @param used receives the coefficients that are asked for
 */
record ScriptColumns(Script script, int axes, Set<Coefficient> used) implements Columns<Value> {

  @Override
  public Value of(Column column) {
    return beside(column.place());
  }

  @Override
  public Value of(Coefficient coefficient) {
    used.add(coefficient);
    return beside(StepLayout.place(coefficient));
  }

  @Override
  public Value each(Column column) {
    return script.let("torch.select(%s, 1, %d)", Argument.ROWS, column.place());
  }

  private Value beside(int place) {
    List<Integer> shape = new ArrayList<>(Collections.nCopies(2 + axes, 1));
    shape.set(0, -1);
    return script.let("torch.reshape(torch.select(%s, 1, %d), %s)", Argument.ROWS, place, shape);
  }
}
